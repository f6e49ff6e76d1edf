import Common
import Glibc

/// All that this Stripe knows, and what happens in it. Lists are in the order in which things came to be.
struct Books: Codable {
    var customers: [Customer] = []
    var sessions: [Session] = []
    var subscriptions: [Subscription] = []
    var invoices: [Invoice] = []
    /// Who may open the portal of whom, and where it leads back to: by the session's id.
    var portals: [String: Portal] = [:]
    /// Seconds that its clock is ahead.
    var ahead = 0
    var period = 2_592_000
    /// What is before the paths of its pages.
    var url = ""

    struct Portal: Codable {
        let customer: String
        let returnURL: String
    }

    enum CodingKeys: CodingKey { case customers, sessions, subscriptions, invoices, portals, ahead }

    /// What has happened and nobody was told of yet: a type, and the object as each version shows it.
    var happened: [(type: String, old: Value, new: Value)] = []

    init() {}

    var now: Int { Glibc.time(nil) + ahead }

    static func id(_ prefix: String) -> String { "\(prefix)_\(Sodium.random(12).hex)" }

    // MARK: What is there

    /// One that is deleted can only be looked at, and may not even be named where something is listed.
    func customer(_ id: String, param: String = "id", evenDeleted: Bool = false) throws -> Int {
        guard let index = customers.firstIndex(where: { $0.id == id }), evenDeleted || !customers[index].isDeleted,
            param == "id" || customers[index].hidesLists != true || !customers[index].isDeleted
        else {
            throw StripeFault.missing("customer", id, param: param)
        }
        return index
    }

    func session(_ id: String) throws -> Int {
        guard let index = sessions.firstIndex(where: { $0.id == id }) else {
            throw StripeFault.missing("checkout.session", id)
        }
        return index
    }

    func subscription(_ id: String) throws -> Int {
        guard let index = subscriptions.firstIndex(where: { $0.id == id }) else {
            throw StripeFault.missing("subscription", id)
        }
        return index
    }

    func json(_ subscription: Subscription, _ version: APIVersion, expanded: Bool = false) -> Value {
        let invoice = invoices.last { $0.id == subscription.latestInvoice }
        let shown = expanded ? invoice?.json(version, url: url) : invoice.map { .string($0.id) }
        return subscription.json(version, invoice: shown ?? nil)
    }

    // MARK: What happens

    mutating func tell(_ type: String, _ json: (APIVersion) -> Value) {
        happened.append((type, json(.old), json(.new)))
    }

    private mutating func tell(_ type: String, of index: Int) {
        let books = self
        tell(type) { books.json(books.subscriptions[index], $0) }
    }

    mutating func changed(_ index: Int) { tell("customer.subscription.updated", of: index) }

    /// Begins a subscription that is paid.
    mutating func subscribe(_ customer: String, price: String, metadata: [String: String]) -> Subscription {
        let (start, index) = (now, subscriptions.count)
        subscriptions.append(
            Subscription(
                id: Books.id("sub"), customer: customer, price: price, created: start, metadata: metadata,
                periodStart: start, periodEnd: start + period))
        bill(index, reason: "subscription_create", status: "paid")
        tell("customer.subscription.created", of: index)
        tell("invoice.paid", ofInvoiceOf: index)
        return subscriptions[index]
    }

    private mutating func bill(_ index: Int, reason: String, status: String) {
        let subscription = subscriptions[index]
        let invoice = Invoice(
            id: Books.id("in"), number: "SANDBOX-\(String(10_001 + invoices.count).dropFirst())",
            customer: subscription.customer, subscription: subscription.id, total: Subscription.amount, created: now,
            reason: reason, status: status)
        invoices.append(invoice)
        subscriptions[index].latestInvoice = invoice.id
    }

    private mutating func tell(_ type: String, ofInvoiceOf index: Int) {
        guard let invoice = invoices.last(where: { $0.id == subscriptions[index].latestInvoice }) else { return }
        let url = url
        tell(type) { invoice.json($0, url: url) }
    }

    mutating func end(_ index: Int, at time: Int) {
        subscriptions[index].status = "canceled"
        subscriptions[index].endedAt = time
        tell("customer.subscription.deleted", of: index)
    }

    /// Begins the next period, paid or not.
    mutating func renew(_ index: Int) {
        let start = subscriptions[index].periodEnd
        // Of many periods that went by while nobody looked, only the last one is billed.
        let periods = max(1, (now - start) / period + 1)
        subscriptions[index].periodStart = start + (periods - 1) * period
        subscriptions[index].periodEnd = start + periods * period
        let fails = subscriptions[index].fails
        bill(index, reason: "subscription_cycle", status: fails ? "open" : "paid")
        subscriptions[index].status = fails ? "past_due" : "active"
        tell(fails ? "invoice.payment_failed" : "invoice.paid", ofInvoiceOf: index)
        changed(index)
    }

    /// Resumes one that is paused, where its payment does not fail.
    mutating func resume(_ index: Int) {
        let fails = subscriptions[index].fails
        bill(index, reason: "subscription_update", status: fails ? "open" : "paid")
        if !fails { subscriptions[index].status = "active" }
        tell(fails ? "invoice.payment_failed" : "invoice.paid", ofInvoiceOf: index)
        changed(index)
    }

    /// Pays what is due: all invoices that are open.
    mutating func settle(_ index: Int) {
        for invoice in invoices.indices
        where invoices[invoice].subscription == subscriptions[index].id && invoices[invoice].status == "open" {
            invoices[invoice].status = "paid"
        }
        subscriptions[index].status = "active"
        subscriptions[index].fails = false
        tell("invoice.paid", ofInvoiceOf: index)
        changed(index)
    }

    /// Pays at a checkout page.
    mutating func pay(_ index: Int) {
        guard sessions[index].status == "open" else { return }
        let session = sessions[index]
        sessions[index].status = "complete"
        sessions[index].subscription =
            subscribe(session.customer, price: session.price, metadata: session.subscriptionMetadata).id
        let done = sessions[index].json
        tell("checkout.session.completed") { _ in done }
    }

    mutating func expire(_ index: Int) {
        sessions[index].status = "expired"
        let over = sessions[index].json
        tell("checkout.session.expired") { _ in over }
    }

    mutating func delete(_ index: Int) {
        let customer = customers[index]
        for other in subscriptions.indices where subscriptions[other].customer == customer.id {
            if !subscriptions[other].isOver { end(other, at: now) }
        }
        for other in sessions.indices where sessions[other].customer == customer.id && sessions[other].status == "open"
        {
            expire(other)
        }
        tell("customer.deleted") { _ in customer.json }
        customers[index].isDeleted = true
    }

    /// Forgets a customer and all of theirs, with no word to anybody: as if the key were of another account.
    mutating func vanish(_ index: Int) {
        let id = customers.remove(at: index).id
        sessions.removeAll { $0.customer == id }
        subscriptions.removeAll { $0.customer == id }
        invoices.removeAll { $0.customer == id }
        portals = portals.filter { $0.value.customer != id }
    }

    /// What the time brings.
    mutating func passTime() {
        let now = now
        for index in subscriptions.indices where !subscriptions[index].isOver {
            let subscription = subscriptions[index]
            let end = subscription.cancelsAtPeriodEnd ? subscription.periodEnd : subscription.cancelAt
            if let end, end <= now {
                self.end(index, at: end)
            } else if ["active", "past_due"].contains(subscription.status), subscription.periodEnd <= now {
                renew(index)
            }
        }
        for index in sessions.indices where sessions[index].status == "open" && sessions[index].expiresAt <= now {
            expire(index)
        }
    }
}
