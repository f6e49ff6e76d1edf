import SandboxHTTP

/// What tests and people at a terminal ask of the sandbox itself: POSTs of forms under /sandbox/.
///
/// `customers/ID`: `vanish=1` has the customer never have been here, as for the key of another account; `hides_lists=true` has lists
/// of what was theirs refused once they are deleted.
/// `subscriptions/ID`: `fails=true` has payments fail, as without a card; `renew=1` begins the next period, and another invoice is
/// unpaid if they fail; `settle=1` pays what is due; `status=paused` ends a trial without a payment method, and any other status
/// comes so too. `pause_collection` is of the API itself.
extension StripeService {
    /// Nil where there is nothing of the kind.
    func control(_ request: HTTPRequest) throws -> Value? {
        let parts = request.path.split(separator: "/").map(String.init)
        let form = request.form ?? [:]
        func number(_ name: String, _ value: Int) -> Int { form[name].flatMap { Int($0) } ?? value }
        switch (request.method, parts.count > 1 ? parts[1] : "") {
        case ("POST", "webhooks"):
            webhooks.add(
                Webhooks.Endpoint(
                    url: form["url"] ?? "", secret: form["secret"] ?? "whsec_sandbox",
                    version: form["version"] ?? APIVersion.newName))
        case ("POST", "deliveries"):
            webhooks.follow(
                Webhooks.Plan(
                    repeats: number("repeats", 1), delay: max(0, number("delay_ms", 0)),
                    oldShare: number("old_share", 0)))
        case ("GET", "deliveries"):
            let counts = webhooks.counts
            return [
                "events": .number(counts.events), "pending": .number(counts.pending), "sent": .number(counts.sent),
                "taken": .number(counts.taken), "given_up": .number(counts.given_up),
            ]
        case ("POST", "faults"):
            guard let kind = Faults.Kind(rawValue: form["kind"] ?? "") else {
                throw StripeFault.invalid("kind: down, lost, slow, error or busy", param: "kind")
            }
            faults.add(
                Faults.Fault(
                    kind: kind, path: form["path"] ?? "/v1/", milliseconds: number("ms", 1_000),
                    times: number("times", 1)))
        case ("DELETE", "faults"): faults.clear()
        case ("POST", "advance"):
            try change { books in
                books.ahead += max(0, number("seconds", 0))
                books.passTime()
            }
        case ("POST", "customers") where parts.count == 3:
            try change { books in
                let index = try books.customer(parts[2], evenDeleted: true)
                if let hides = form["hides_lists"] { books.customers[index].hidesLists = hides == "true" }
                if form["vanish"] != nil { books.vanish(index) }
            }
        case ("POST", "subscriptions") where parts.count == 3:
            return try change { books in
                let index = try books.subscription(parts[2])
                if let fails = form["fails"] { books.subscriptions[index].fails = fails == "true" }
                if form["renew"] != nil { books.renew(index) }
                if form["settle"] != nil { books.settle(index) }
                if let status = form["status"] {
                    books.subscriptions[index].status = status
                    books.changed(index)
                }
                return books.json(books.subscriptions[index], .new)
            }
        default: return nil
        }
        return [:]
    }
}
