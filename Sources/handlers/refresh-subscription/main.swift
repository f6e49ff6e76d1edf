import Common
import Upstream

struct Turn: Decodable {
    let customer: String?
    /// Seconds until Stripe may be asked again; NULL where it may be now.
    let wait: Int?
}

/// Seconds between two refreshes of a user.
let pause = 5

serve { request, database, payments in
    let caller = try request.caller()
    try payments.begin()
    let turn = try database.row(
        Turn.self,
        """
        with caller as (\(caller.live)), taken as (
            update stripe_customers c set refreshed_at = now() from caller
            where c.user_id = caller.user_id and c.customer is not null
                and coalesce(c.refreshed_at <= now() - make_interval(secs => \(pause)::int), true)
            returning c.user_id
        )
        select c.customer, case when c.customer is not null and t.user_id is null then greatest(
            1, ceil(extract(epoch from c.refreshed_at + make_interval(secs => \(pause)::int) - now()))::int) end as wait
        from caller left join stripe_customers c on c.user_id = caller.user_id left join taken t on true
        """)
    guard let turn else { throw Problem.sessionEnded }
    if let wait = turn.wait {
        throw Problem(
            429, "refresh_too_soon", "This was refreshed a moment ago; wait as long as Retry-After says.",
            headers: [("Retry-After", String(wait))])
    }
    // Of a customer whom Stripe has lost the rows say what there is to say.
    if let customer = turn.customer { do { try payments.refresh(customer, database) } catch is LostCustomer {} }
    return .json(try database.answer(Subscription.status(of: caller)))
}
