import SandboxHTTP

/// The pages that people see: one to pay at, one where what is paid for is cancelled. Without scripts, as forms.
struct Pages {
    /// The status, and where it leads to or what is shown.
    enum Outcome {
        case page(String)
        case redirect(String)
        case missing
    }

    func answer(_ request: HTTPRequest, _ books: inout Books) throws -> Outcome {
        let parts = request.path.split(separator: "/").map(String.init)
        guard parts.count == 3, ["GET", "POST"].contains(request.method) else { return .missing }
        let action = request.method == "POST" ? request.form?["action"] ?? "" : nil
        switch parts[0...1] {
        case ["c", "pay"]:
            guard let index = try? books.session(parts[2]) else { return .missing }
            return checkout(index, action, &books)
        case ["p", "session"]:
            guard let portal = books.portals[parts[2]] else { return .missing }
            return self.portal(portal, action, request.form?["subscription"] ?? "", &books)
        default: return .missing
        }
    }

    private func checkout(_ index: Int, _ action: String?, _ books: inout Books) -> Outcome {
        let session = books.sessions[index]
        let paid = session.successURL.split(separator: "{CHECKOUT_SESSION_ID}", omittingEmptySubsequences: false)
            .joined(separator: session.id)
        guard session.status == "open" else {
            return .page(html("This page is over", "<p>It was \(session.status).</p>\(link(paid, "Back"))"))
        }
        switch action {
        case "pay":
            books.pay(index)
            return .redirect(paid)
        case "cancel": return .redirect(session.cancelURL ?? session.successURL)
        default:
            return .page(
                html(
                    "Subscribe to Pro",
                    """
                    <p>9.00 USD for each period. This is a sandbox: no money moves.</p>
                    \(form([("action", "pay")], "Pay"))\(form([("action", "cancel")], "Cancel"))
                    """))
        }
    }

    private func portal(
        _ portal: Books.Portal, _ action: String?, _ id: String, _ books: inout Books
    ) -> Outcome {
        if let index = books.subscriptions.firstIndex(where: {
            $0.id == id && $0.customer == portal.customer && !$0.isOver
        }) {
            switch action {
            case "cancel":
                // As billing in flexible mode has it: by a time, and without the flag.
                books.subscriptions[index].cancelAt = books.subscriptions[index].periodEnd
                books.changed(index)
            case "resume":
                books.subscriptions[index].cancelAt = nil
                books.subscriptions[index].cancelsAtPeriodEnd = false
                books.changed(index)
            case "settle": books.settle(index)
            case "card": books.subscriptions[index].fails = false
            default: break
            }
        }
        let rows = books.subscriptions.filter { $0.customer == portal.customer }.reversed().map { subscription in
            let isToEnd = subscription.cancelAt != nil || subscription.cancelsAtPeriodEnd
            var action = isToEnd ? ("resume", "Don’t cancel") : ("cancel", "Cancel at the end of the period")
            if subscription.status == "past_due" { action = ("settle", "Pay what is due") }
            if subscription.status == "paused" { action = ("card", "Add a card") }
            let state = subscription.status + (isToEnd && !subscription.isOver ? ", to be cancelled" : "")
            let button =
                subscription.isOver
                ? "" : form([("action", action.0), ("subscription", subscription.id)], action.1)
            return "<p>Pro: \(state)</p>\(button)"
        }
        return .page(html("Your subscription", rows.joined() + link(portal.returnURL, "Back")))
    }

    private func form(_ fields: [(String, String)], _ label: String) -> String {
        let inputs = fields.map { "<input type=\"hidden\" name=\"\($0.0)\" value=\"\($0.1)\">" }.joined()
        return "<form method=\"post\">\(inputs)<button>\(label)</button></form>"
    }

    private func link(_ url: String, _ label: String) -> String { "<p><a href=\"\(escaped(url))\">\(label)</a></p>" }

    private func html(_ title: String, _ body: String) -> String {
        """
        <!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>\(title) – sandbox</title><h1>\(title)</h1>\(body)</html>
        """
    }

    private func escaped(_ text: String) -> String {
        text.map { ["&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;"][$0] ?? String($0) }.joined()
    }
}
