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
    /// Before Stripe is asked.
    let asked: String
}

serve { request, database, payments in
    let caller = try request.caller()
    let key = "invoices:\(caller.user)"
    let known = try database.row(
        Known.self,
        """
        with caller as (\(caller.live) and \(RateLimit.billing.allows))
        select c.customer, k.value as cached, clock_timestamp() as asked
        from caller left join stripe_customers c on c.user_id = caller.user_id
        left join cache k on k.key = \(key) and k.expires_at > now()
        """)
    guard let known else { throw Problem.sessionEnded }
    if let cached = known.cached { return .json(cached, headers: [("X-Cache", "hit")]) }
    try payments.begin()
    var invoices: [Invoice] = []
    if let customer = known.customer {
        do {
            let page: StripeList<Invoice> = try payments.with(customer, database) {
                try payments.call(.get, "/v1/invoices", [("customer", customer), ("limit", "100")])
            }
            invoices = page.data.filter { $0.status != "draft" }
        } catch is LostCustomer {
            // Their invoices went with them, as far as this key can tell.
        }
    }
    // Kept, unless there was something new of them meanwhile; store_subscriptions() forgets it.
    let list = try database.row(
        String.self,
        """
        with list as (
            select json_build_object('invoices', coalesce(json_agg(json_build_object(
                'id', i.id, 'number', i.number, 'status', i.status, 'amount', i.total, 'currency', i.currency,
                'created_at', to_timestamp(i.created), 'hosted_url', i.hosted_invoice_url)), '[]'))::text as json
            from jsonb_to_recordset(\(String(decoding: try JSON.encode(invoices), as: UTF8.self))::jsonb) i (
                id text, number text, status text, total bigint, currency text, created float8, hosted_invoice_url text)
        ), kept as (
            insert into cache (key, value, expires_at)
            select \(key), list.json, now() + interval '5 minutes' from list join stripe_customers c
                on c.user_id = \(caller.user) and coalesce(c.checked_at < \(known.asked)::timestamptz, true)
            for key share of c
            on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at
        )
        select json from list
        """)
    return .json(list ?? "", headers: [("X-Cache", "miss")])
}
