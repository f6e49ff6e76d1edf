import Common

/// A user as a customer of Stripe's.
public struct Payer {
    public let customer: String
    /// Subscriptions that go on, as our rows have them.
    public let running: [Running]

    public struct Running: Sendable {
        public let id: String
        /// Whether it is to end; and, of those, whether because that was said of its period and not of a time.
        public let isToEnd: Bool
        public let endsWithPeriod: Bool
        /// Whether it is paused as a whole (status `paused`), so that it bills nothing until it is resumed.
        public let isPaused: Bool
    }

    private struct Row: Decodable {
        let customer: String?
        let id: String?
        let isToEnd: Bool?
        let endsWithPeriod: Bool?
        let isPaused: Bool?

        enum CodingKeys: String, CodingKey {
            case customer, id
            case isToEnd = "is_to_end"
            case endsWithPeriod = "ends_with_period"
            case isPaused = "is_paused"
        }
    }

    /// The caller; 409 where Stripe does not know them.
    /// - Parameter counts: whether this begins a request, of which there is a limit.
    public init(_ caller: Caller, _ database: Database, counts: Bool = true) throws {
        let allowed = counts ? RateLimit.billing.allows : "true"
        let rows = try database.rows(
            Row.self,
            """
            with caller as (\(caller.live) and \(allowed))
            select c.customer, s.id, ends_at(s) is not null as is_to_end, s.cancel_at_period_end as ends_with_period,
                s.status = 'paused' as is_paused
            from caller left join stripe_customers c on c.user_id = caller.user_id
            left join subscriptions s on s.user_id = c.user_id and \(Subscription.isRunning)
            """)
        if rows.isEmpty { throw Problem.sessionEnded }
        guard let customer = rows[0].customer else { throw Problem.noSubscription }
        self.customer = customer
        running = rows.compactMap { row in
            row.id.map {
                Running(
                    id: $0, isToEnd: row.isToEnd ?? false, endsWithPeriod: row.endsWithPeriod ?? false,
                    isPaused: row.isPaused ?? false)
            }
        }
    }
}

extension Payments {
    /// Has all subscriptions of the caller's that go on end with their period, or not end any more and not be paused; 409 where there
    /// is none, and where all stay paused. What Stripe then says of them is stored, and judged: it may know better than our rows did.
    public func change(_ caller: Caller, toEnd: Bool, _ database: Database) throws {
        let payer = try Payer(caller, database)
        if payer.running.isEmpty { throw Problem.noSubscription }
        var refusal: StripeError?
        func ask(_ path: String, _ form: [(String, String)]) throws {
            do {
                let _: StripeSubscription = try call(.post, path, form)
            } catch let error as StripeError where error.wantsAnotherKey {
                refusal = error
            }
        }
        for subscription in payer.running where subscription.isPaused && !toEnd {
            try ask("/v1/subscriptions/\(subscription.id)/resume", [])
        }
        for subscription in payer.running where subscription.isToEnd != toEnd {
            // One that is to end is so by a flag or by a time, as the way it was cancelled has it.
            let form =
                toEnd || subscription.endsWithPeriod
                ? ("cancel_at_period_end", toEnd ? "true" : "false") : ("cancel_at", "")
            try ask("/v1/subscriptions/\(subscription.id)", [form])
        }
        try refresh(payer.customer, database)
        let running = try Payer(caller, database, counts: false).running
        if running.isEmpty { throw Problem.noSubscription }
        // Where there is no way to pay, Stripe's no is about that.
        if !toEnd, running.allSatisfy(\.isPaused) { throw Subscription.Notice.paused.problem }
        if running.contains(where: { $0.isToEnd != toEnd }), let refusal { throw refusal }
    }
}
