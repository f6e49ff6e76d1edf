import Common
import Upstream

/// An invoice as Stripe shows it; amounts are in the currency's smallest unit.
struct Invoice: Codable {
    let id: String
    let number: String?
    let status: String?
    let total: Int
    let currency: String
    let created: UnixTime
    let hosted_invoice_url: String?
}

struct Known: Decodable {
    let customer: String?
    let cached: String?
    /// Before Stripe is asked, by Postgres's clock.
    let asked: String
    let standing: Standing?
}

serve(forgetting: "list_invoices_forget") { _, database, payments in
    let known: Known = try database.call("list_invoices", payments.caller, RateLimit.billing.perMinute)
    payments.standing = known.standing
    if let cached = known.cached { return .json(cached, headers: [("X-Cache", "hit")]) }
    try payments.begin()
    var invoices: [Invoice] = []
    if let customer = known.customer {
        do {
            let page: StripeList<Invoice> = try payments.with(customer) {
                try payments.call(.get, "/v1/invoices", [("customer", customer), ("limit", "100")])
            }
            invoices = page.data.filter { $0.status != "draft" }
        } catch is LostCustomer {
            // Their invoices went with them, as far as this key can tell.
        }
    }
    let list: JSONAnswer = try database.call(
        "list_invoices_end", payments.caller, known.asked, String(decoding: try JSON.encode(invoices), as: UTF8.self))
    return .json(list, headers: [("X-Cache", "miss")])
}
