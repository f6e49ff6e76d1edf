import Common
import Upstream

struct Payer: Decodable {
    let customer: String
    let standing: Standing?
}

struct PortalSession: Decodable { let url: String }

serve(forgetting: "subscription_portal_forget") { request, database, payments in
    try payments.begin()
    let once = try request.once("subscription-portal")
    let link = try once.holding("subscription_portal_begin", "subscription_portal_end", for: payments.caller) {
        let payer: Payer = try database.call("subscription_portal", payments.caller, RateLimit.billing.perMinute)
        payments.standing = payer.standing
        let form = [("customer", payer.customer), ("return_url", "\(Settings.publicURL)/?subscription=changed")]
        let session: PortalSession = try payments.with(payer.customer) {
            try payments.call(.post, "/v1/billing_portal/sessions", form)
        }
        return "{\"url\":\(JSON.quoted(session.url))}"
    }
    return .json(link, status: 201)
}
