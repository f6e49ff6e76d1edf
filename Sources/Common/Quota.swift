/// How the messages stand that a limited user may send, in their day and in a minute. What asks for a reply reserves a place as a
/// part of its statement, by the user's row of the day in `usage_days`: of requests that come at once each finds what the one before
/// it left there.
public struct Quota: Decodable, Sendable {
    /// Nil where nobody has limits, and where there was nobody to be limited.
    private let tier: String?
    private let used: Int?
    /// The user's next midnight, as JSON.
    private let resetsAt: String?
    /// Until then.
    private let daySeconds: Int?
    /// Seconds of the minute to come that are taken.
    private let ahead: Double?
    /// Whether a place was asked for, be it had or not.
    fileprivate let isAsked: Bool?

    enum CodingKeys: String, CodingKey {
        case tier, used, ahead
        case resetsAt = "resets_at"
        case daySeconds = "day_seconds"
        case isAsked = "is_asked"
    }

    private var plan: Plan? { tier.map(Plan.of(tier:)) }
    private static let isLimited = [Plan.basic, .pro].contains { $0.messagesPerDay > 0 || $0.messagesPerMinute > 0 }

    /// Microseconds of a minute that a message takes: a minute's worth may come at once, and then one as often as that.
    private static func step(_ plan: Plan) -> Int {
        plan.messagesPerMinute == 0 ? 0 : 60_000_000 / plan.messagesPerMinute
    }

    // MARK: SQL

    /// Selects of the user `u` who asks for a reply the time `at`, the user's `day` of it, and what their limits depend on.
    public static let asking: SQL =
        isLimited
        ? """
        select n.at, n.day, \(midnight) as midnight, \(User.tier) as tier from (\(now)) n
        """ : now

    /// Selects the time `at` and the `day` of the user `u`: that of their time zone, unless they have moved to it in the midst of one.
    public static let now: SQL = """
        select n.at, case when u.usage_day_until > n.at then u.usage_day else (n.at at time zone u.timezone)::date end as day
        from (select clock_timestamp() as at offset 0) n offset 0
        """

    /// When the day of `now`, under the name `n`, ends.
    public static let midnight: SQL = """
        case when u.usage_day_until > n.at then u.usage_day_until else (n.day + 1)::timestamp at time zone u.timezone end
        """

    /// The part `counted` of a statement: the rows of `asking` for which there is a place, which is reserved. Each has the columns
    /// of `asking`, which are `number`, `user_id` and those of `Quota.asking` at least. Of a user's that come together all have
    /// one, or none.
    public static func counted(_ asking: SQL) -> SQL {
        guard isLimited else { return "counted as (\(asking))" }
        func perDay(_ plan: Plan) -> Int { plan.messagesPerDay == 0 ? Int(Int32.max) : plan.messagesPerDay }
        // In the order of their users, as everybody who locks several of these rows.
        return """
            asked as (\(asking)), reserving as (
                update usage_days d
                set reserved = d.reserved + a.places, free_at = greatest(d.free_at, a.at) + a.places * a.step
                from (
                    select user_id, day, tier, count(*)::int as places, min(at) as at,
                        case tier when 'pro' then \("\(step(.pro)) us")::interval else \("\(step(.basic)) us")::interval end as step
                    from asked group by user_id, day, tier order by user_id
                ) a
                where d.user_id = a.user_id and d.day = a.day
                    and d.reserved - d.refunded + a.places <=
                        case a.tier when 'pro' then \(perDay(.pro))::int else \(perDay(.basic))::int end
                    and greatest(d.free_at, a.at) + a.places * a.step <= a.at + interval '1 minute'
                returning d.user_id, d.day, d.reserved - d.refunded as used, d.free_at, a.places, a.step
            ), counted as (
                select a.*, r.used - r.places + row_number() over w as used,
                    r.free_at - (r.places - row_number() over w) * r.step as free_at
                from asked a join reserving r on r.user_id = a.user_id and r.day = a.day
                window w as (partition by a.user_id, a.day order by a.number)
            )
            """
    }

    /// What a quota is decoded from, as further columns of the row `a` of `counted`.
    public static let columns: SQL = isLimited ? ", \(standing("a.used", freeAt: "a.free_at"))" : ""

    private static func standing(_ used: SQL, freeAt: SQL) -> SQL {
        """
        a.tier, \(used) as used, to_json(a.midnight)::text as resets_at,
            ceil(date_part('epoch', a.midnight - a.at))::int as day_seconds,
            greatest(date_part('epoch', \(freeAt) - a.at), 0) as ahead
        """
    }

    /// A further column of what the statement gives, for the one of this number.
    public static func isAsked(_ number: SQL = "1") -> SQL {
        isLimited ? ", exists (select from asked where asked.number = \(number)) as is_asked" : ""
    }

    /// Stores the receipt of the `reply` of each row of `counted`, which has `chatroom_id` too.
    /// - Parameter reason: what asked for it.
    public static func reserve(_ reason: String, for counted: SQL = "counted") -> SQL {
        """
        insert into ledger (user_id, id, day, kind, amount, reason, chatroom_id, message_id)
        select a.user_id, a.reply, a.day, 'reserve', 1, \(reason), a.chatroom_id, a.reply from \(counted) a
        """
    }

    /// What a statement gives that counts; 429 where there is no place, 404 where the room was deleted meanwhile. The first of a day
    /// finds no row to count in: it is sent once more when that is there.
    public static func admit<Row: AsksForReply>(
        _ caller: Caller, in database: Database, _ statement: () throws -> Admitted<Row>?
    ) throws -> Admitted<Row> {
        // The second time only somebody else's message, and what was given back meanwhile, can have made the difference.
        for _ in 0..<10 {
            let admitted: Admitted<Row>?
            do {
                admitted = try statement()
            } catch DatabaseError.refused(_, "messages_chatroom", _) {
                throw Problem.notFound
            }
            guard let admitted else { throw Problem.sessionEnded }
            guard admitted.row.reply == nil, admitted.quota.isAsked == true else { return admitted }
            let quota = try database.row(
                Quota.self,
                """
                with caller as (\(caller.live)), asked as (
                    select u.id as user_id, q.*
                    from caller join users u on u.id = caller.user_id cross join lateral (\(asking)) q
                ), begun as (
                    insert into usage_days (user_id, day)
                    select a.user_id, a.day from asked a join users u on u.id = a.user_id
                    where not exists (select from usage_days d where d.user_id = a.user_id and d.day = a.day)
                    for key share of u on conflict do nothing
                )
                select \(standing("coalesce(d.reserved - d.refunded, 0)", freeAt: "d.free_at"))
                from asked a left join usage_days d on d.user_id = a.user_id and d.day = a.day
                """)
            guard let quota else { throw Problem.sessionEnded }
            try quota.throwIfRefused()
        }
        throw Problem.unavailable
    }

    // MARK: The answer

    private func throwIfRefused() throws {
        guard let plan, let used, let daySeconds, let ahead else { return }
        if plan.messagesPerDay > 0, used >= plan.messagesPerDay {
            throw Problem(
                429, "daily_limit_reached", "You have sent the \(plan.messagesPerDay) messages of your plan's day.",
                headers: [("Retry-After", String(daySeconds))] + headers)
        }
        guard plan.messagesPerMinute > 0 else { return }
        let wait = Int((ahead + Double(Quota.step(plan)) / 1e6 - 60).rounded(.up))
        if wait > 0 {
            throw Problem(
                429, "rate_limited", "You send too fast; wait \(wait) s.",
                headers: [("Retry-After", String(wait))] + headers)
        }
    }

    /// How the limits stand that there are.
    public var headers: [(String, String)] {
        guard let plan, let used, let daySeconds, let ahead else { return [] }
        var standings: [Standing] = []
        if plan.messagesPerDay > 0 {
            let remaining = max(0, plan.messagesPerDay - used)
            standings.append(
                Standing("day", limit: plan.messagesPerDay, window: 86_400, remaining: remaining, seconds: daySeconds))
        }
        if plan.messagesPerMinute > 0 {
            let remaining = Int(((60 - ahead) * 1e6).rounded()) / Quota.step(plan)
            standings.append(
                Standing(
                    "minute", limit: plan.messagesPerMinute, window: 60, remaining: max(0, remaining),
                    seconds: Int(ahead.rounded(.up))))
        }
        return Standing.headers(standings)
    }

    /// The answer's member `quota`.
    public var json: String {
        guard let plan, plan.messagesPerDay > 0, let used, let resetsAt else {
            return #"{"limit":null,"used":null,"remaining":null,"resets_at":null}"#
        }
        let limit = plan.messagesPerDay
        return #"{"limit":\#(limit),"used":\#(used),"remaining":\#(max(0, limit - used)),"resets_at":\#(resetsAt)}"#
    }
}

/// What a statement gives that asks for a reply.
public protocol AsksForReply: Decodable {
    /// NULL where none is to come.
    var reply: ID? { get }
}

/// The row of such a statement, and the quota that is in it.
public struct Admitted<Row: AsksForReply>: Decodable {
    public let row: Row
    public let quota: Quota

    public init(from decoder: any Decoder) throws {
        row = try Row(from: decoder)
        quota = try Quota(from: decoder)
    }
}
