import Common
import Upstream

struct PortalSession: Decodable { let url: String }

serve { request, database, payments in
    let caller = try request.caller()
    try payments.begin()
    // A link that nobody has opened is over at Stripe after some minutes; another costs nothing and changes nothing.
    let once = try request.once(caller, "subscription-portal", lifetime: "interval '1 minute'")
    return try once.answer(from: database) {
        try once.holding {
            let payer = try Payer(caller, database)
            let form = [("customer", payer.customer), ("return_url", "\(Settings.publicURL)/?subscription=changed")]
            let session: PortalSession = try payments.with(payer.customer, database) {
                try payments.call(.post, "/v1/billing_portal/sessions", form)
            }
            return "{\"url\":\(JSON.quoted(session.url))}"
        }
    } as: { link in
        .json(link, status: 201)
    }
}
