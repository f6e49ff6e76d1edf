import Common
import Upstream

struct PortalSession: Decodable { let url: String }

serve { request, database, payments in
    let caller = try request.caller()
    try payments.begin()
    let payer = try Payer(caller, database)
    let form = [("customer", payer.customer), ("return_url", "\(Settings.publicURL)/?subscription=changed")]
    let session: PortalSession = try payments.call(.post, "/v1/billing_portal/sessions", form)
    return .json("{\"url\":\(JSON.quoted(session.url))}", status: 201)
}
