import Common

/// How far a user is on the way to Pro. Whoever looks first makes the rows whose ids are Stripe's keys of idempotency.
struct Progress: Decodable {
    let customer: String?
    let attempt: ID
    let checkout: ID
    let session: String?
    let isPro: Bool
    private let running: Bool
    /// What that subscription's owner has to do first; nil where it is only late.
    private let notice: String?

    enum CodingKeys: String, CodingKey {
        case customer, attempt, checkout, session, running, notice
        case isPro = "is_pro"
    }

    /// Why this user may not buy, as our rows have it: they are Pro, or have a subscription that waits for a payment.
    var refusal: Problem? {
        if isPro {
            return Problem(
                409, "already_pro", "This account is Pro; POST /subscription/portal leads to where it is managed.")
        }
        return running ? (notice.flatMap(Subscription.Notice.init) ?? .paymentDue).problem : nil
    }

    /// - Parameter counts: whether this begins a request, of which there is a limit.
    init(_ caller: Caller, _ database: Database, counts: Bool) throws {
        let allowed = counts ? RateLimit.billing.allows : "true"
        let progress = try database.row(
            Progress.self,
            """
            with caller as (\(caller.live) and \(allowed)), owner as (
                select u.id, \(User.tier) = 'pro' as is_pro from caller join users u on u.id = caller.user_id
                for key share of u
            ), payer as (
                insert into stripe_customers as c (user_id) select id from owner
                on conflict (user_id) do update set customer = c.customer returning user_id, customer, attempt
            ), checkout as (
                insert into checkouts as k (user_id) select user_id from payer
                on conflict (user_id) do update set session = k.session returning user_id, id, session
            )
            select p.customer, p.attempt, k.id as checkout, k.session, o.is_pro,
                s.id is not null as running, s.notice
            from owner o join payer p on p.user_id = o.id join checkout k on k.user_id = o.id
            left join lateral (
                select s.id, subscription_notice(s) as notice from subscriptions s where s.user_id = o.id and \(Subscription.isRunning)
                order by s.created_at desc limit 1
            ) s on true
            """)
        guard let progress else { throw Problem.sessionEnded }
        self = progress
    }

    /// Has another page made by whoever asks next.
    func forgetCheckout(_ caller: Caller, _ database: Database) throws {
        try database.execute(
            """
            update checkouts set id = gen_random_uuid(), session = null
            where user_id = \(caller.user) and id = \(checkout)
            """)
    }

    /// Has another customer made, and with them another page. Only of somebody who is not Pro.
    func forgetCustomer(_ caller: Caller, _ database: Database) throws {
        try database.execute(
            """
            with gone as (
                delete from stripe_customers where user_id = \(caller.user) and customer = \(customer) returning user_id
            )
            delete from checkouts k using gone g where k.user_id = g.user_id
            """)
    }
}
