/// What Stripe's subscriptions and the operator's grants mean for a user.
public enum Subscription {
    /// The answer of `GET /subscription/status`, of the table `users` under the name `u`: of several subscriptions the one that
    /// counts longest.
    public static let json: SQL = """
        (select row_to_json(j) from (select \(User.tier) as tier, s.status, s.current_period_end, s.cancel_at, s.grace_until,
                s.notice
            from (select) one left join lateral (
                select case when ends_at(s) <= now() then 'canceled' else s.status end as status, s.current_period_end,
                    ends_at(s) as cancel_at, case when s.status = 'past_due' or s.current_period_end <= now()
                        then entitled_until(s) end as grace_until, \(Notice.json) as notice
                from subscriptions s where s.user_id = u.id
                order by entitled_until(s) desc nulls last, s.created_at desc limit 1
            ) s on true
        ) j)
        """

    /// What the owner of a subscription has to do or to know, by the codes of `subscription_notice()`.
    public enum Notice: String, CaseIterable, Sendable {
        case paymentDue = "payment_due"
        case paused = "subscription_paused"
        case collectionPaused = "collection_paused"

        public var detail: String {
            switch self {
            case .paymentDue: "A payment is due. Pay it in the portal: POST /subscription/portal."
            case .paused:
                """
                The subscription is paused, as after a trial that ended without a payment method. Add one in the portal \
                (POST /subscription/portal), then resume with POST /subscription/resume.
                """
            case .collectionPaused:
                """
                The operator has paused payments for this subscription, and Pro with them until payments resume. Ask them if \
                you did not expect this.
                """
            }
        }

        /// `{code, detail, resumes_at}` of the subscription `s`; NULL where there is nothing to say.
        public static let json: SQL = """
            (select json_build_object('code', n.code, 'detail', d.detail,
                    'resumes_at', case n.code when \(collectionPaused.rawValue) then s.resumes_at end)
                from subscription_notice(s) n (code)
                join unnest(\(allCases.map(\.rawValue))::text[], \(allCases.map(\.detail))::text[]) d (code, detail) using (code))
            """

        /// Refuses another purchase.
        public var problem: Problem { Problem(409, rawValue, detail) }
    }

    /// The same for a caller.
    public static func status(of caller: Caller) -> SQL {
        """
        with caller as (\(caller.live))
        select \(json) as json from caller join users u on u.id = caller.user_id
        """
    }

    /// Whether the subscription `s` goes on, paid or not, so that another one would be paid besides.
    public static let isRunning: SQL = """
        (s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused') and coalesce(ends_at(s) > now(), true))
        """
}

extension Problem {
    /// Nobody can pay here: STRIPE_SECRET_KEY is not set.
    public static let paymentsOff = Problem(404, "payments_off", "Payments are not set up here.")
    /// Stripe is away, slow, or refuses what we ask; nothing is half-made.
    public static let stripeUnavailable = Problem(
        503, "stripe_unavailable", "Stripe does not answer at the moment; try again.", headers: [("Retry-After", "5")])
    /// There is nothing at Stripe to be cancelled, resumed or managed.
    public static let noSubscription = Problem(409, "no_subscription", "There is no subscription.")
}
