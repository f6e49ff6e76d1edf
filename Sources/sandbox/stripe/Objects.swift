/// A version of the API: until 2025-03-31 periods stood on subscriptions, since then on their items; and an invoice named its
/// subscription itself, where since then its parent does.
enum APIVersion {
    case old
    case new

    /// By its name, which begins with its date.
    init(_ name: String) { self = name < "2025-03-31" ? .old : .new }

    static let oldName = "2024-06-20"
    static let newName = "2026-10-28.endive"
}

struct Customer: Codable {
    let id: String
    let created: Int
    var email: String?
    var name: String?
    var metadata: [String: String]
    var isDeleted = false
    /// Whether lists of what was theirs are refused once they are deleted; nil: not.
    var hidesLists: Bool?

    var json: Value {
        if isDeleted { return ["id": .string(id), "object": "customer", "deleted": true] }
        return [
            "id": .string(id), "object": "customer", "created": .number(created), "email": Value(email),
            "name": Value(name), "metadata": Value(metadata), "livemode": false, "currency": nil,
        ]
    }
}

struct Session: Codable {
    let id: String
    let customer: String
    let price: String
    let created: Int
    let expiresAt: Int
    let clientReference: String?
    let metadata: [String: String]
    let subscriptionMetadata: [String: String]
    let successURL: String
    let cancelURL: String?
    let url: String
    var status = "open"
    var subscription: String?

    var json: Value {
        [
            "id": .string(id), "object": "checkout.session", "mode": "subscription", "customer": .string(customer),
            "created": .number(created), "expires_at": .number(expiresAt), "livemode": false,
            "client_reference_id": Value(clientReference), "metadata": Value(metadata), "status": .string(status),
            "payment_status": status == "complete" ? "paid" : "unpaid", "success_url": .string(successURL),
            "cancel_url": Value(cancelURL), "subscription": Value(subscription), "ui_mode": "hosted_page",
            "url": status == "open" ? .string(url) : nil,
        ]
    }
}

struct Invoice: Codable {
    let id: String
    let number: String
    let customer: String
    let subscription: String
    let total: Int
    let created: Int
    let reason: String
    var status: String

    func json(_ version: APIVersion, url: String) -> Value {
        let isPaid = status == "paid"
        let common: Value = [
            "id": .string(id), "object": "invoice", "number": .string(number), "customer": .string(customer),
            "status": .string(status), "total": .number(total), "amount_due": .number(total),
            "amount_paid": .number(isPaid ? total : 0), "currency": "usd", "created": .number(created),
            "billing_reason": .string(reason), "livemode": false,
            "hosted_invoice_url": .string("\(url)/i/\(id)"),
            "status_transitions": ["finalized_at": .number(created), "paid_at": isPaid ? .number(created) : nil],
        ]
        return switch version {
        case .old: common.with(["subscription": .string(subscription)])
        case .new:
            common.with([
                "parent": [
                    "type": "subscription_details",
                    "subscription_details": ["subscription": .string(subscription), "metadata": [:]],
                ]
            ])
        }
    }
}

struct Subscription: Codable {
    let id: String
    let customer: String
    let price: String
    let created: Int
    var metadata: [String: String]
    var status = "active"
    var periodStart: Int
    var periodEnd: Int
    var cancelAt: Int?
    var cancelsAtPeriodEnd = false
    var endedAt: Int?
    var latestInvoice = ""
    /// Whether its next payment fails.
    var fails = false
    var pause: Pause?

    /// How the collection of its payments is paused.
    struct Pause: Codable {
        let behavior: String
        let resumesAt: Int?

        static let behaviors: Set = ["keep_as_draft", "mark_uncollectible", "void"]

        var json: Value { ["behavior": .string(behavior), "resumes_at": Value(resumesAt)] }
    }

    /// Whether it can still come to something.
    var isOver: Bool { ["canceled", "incomplete_expired"].contains(status) }

    func json(_ version: APIVersion, invoice: Value) -> Value {
        let period: [String: Value] = [
            "current_period_start": .number(periodStart), "current_period_end": .number(periodEnd),
        ]
        let price: Value = [
            "id": .string(price), "object": "price", "currency": "usd", "unit_amount": .number(Subscription.amount),
            "recurring": ["interval": "month", "interval_count": 1], "type": "recurring",
        ]
        let item: Value = [
            "id": .string("si_\(id.dropFirst(4))"), "object": "subscription_item", "price": price, "quantity": 1,
            "subscription": .string(id),
        ]
        let common: Value = [
            "id": .string(id), "object": "subscription", "customer": .string(customer), "created": .number(created),
            "status": .string(status), "cancel_at": Value(cancelAt), "cancel_at_period_end": .bool(cancelsAtPeriodEnd),
            "canceled_at": Value(endedAt), "ended_at": Value(endedAt), "metadata": Value(metadata), "livemode": false,
            "latest_invoice": invoice, "currency": "usd", "pause_collection": pause?.json ?? nil,
        ]
        return switch version {
        case .old: common.with(period).with(["items": ["object": "list", "has_more": false, "data": [item]]])
        case .new:
            common.with([
                "items": ["object": "list", "has_more": false, "data": [item.with(period)]],
                "billing_mode": ["type": "flexible"],
            ])
        }
    }

    /// Cents a period.
    static let amount = 900
}
