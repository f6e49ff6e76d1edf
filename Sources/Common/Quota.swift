/// How the messages stand that a limited user may send, in their day and in a minute: the type `quota` of Schema/quota.sql, as
/// JSON. What asks for a reply reserves a place as a part of its statement.
public struct Quota: JSONColumn, Sendable {
    private let refusal: String?
    /// Nil where it is the minute alone that is limited.
    private let perDay: Int?
    private let used: Int?
    /// Until the user's midnight.
    private let daySeconds: Int?
    private let resetsAt: String?
    /// Nil where it is the day alone.
    private let perMinute: Int?
    private let inMinute: Int?
    private let minuteSeconds: Int?

    enum CodingKeys: String, CodingKey {
        case refusal, used
        case perDay = "per_day"
        case daySeconds = "day_seconds"
        case resetsAt = "resets_at"
        case perMinute = "per_minute"
        case inMinute = "in_minute"
        case minuteSeconds = "minute_seconds"
    }

    // MARK: SQL

    /// Selects, of the user `u` who asks for a reply, the `quota`, the time `at` and the user's `day` of it, and whether it is
    /// `accepted`. Who is limited waits here for others of the same user; of who is not the quota is NULL, and nothing is counted.
    public static let check: SQL = """
        select d.quota, d.at, coalesce((d.quota).day, (d.at at time zone u.timezone)::date) as day,
            (d.quota).refusal is null as accepted
        from (
            select c.quota, clock_timestamp() as at from (
                select case \(User.tier) when 'pro' then \(check(.pro)) else \(check(.basic)) end as quota offset 0
            ) c offset 0
        ) d
        """

    private static func check(_ plan: Plan) -> SQL {
        plan.messagesPerDay == 0 && plan.messagesPerMinute == 0
            ? "null::quota"
            : "check_quota(u.id, u.timezone, \(plan.messagesPerDay), \(plan.messagesPerMinute))"
    }

    /// Reserves a place for the `reply` of each row of `asked`, which has `user_id`, `chatroom_id` and `day` too.
    /// - Parameter reason: what asked for it.
    public static func reserve(_ reason: String, for asked: SQL) -> SQL {
        """
        insert into ledger (user_id, id, day, kind, amount, reason, chatroom_id, message_id)
        select a.user_id, a.reply, a.day, 'reserve', 1, \(reason), a.chatroom_id, a.reply from \(asked) a
        """
    }

    // MARK: The answer

    /// Where there is no place left: 429.
    public func throwIfRefused() throws {
        switch refusal {
        case nil: return
        case "rate_limited":
            throw Problem(
                429, "rate_limited", "You send too fast; wait \(minuteSeconds ?? 1) s.",
                headers: [("Retry-After", String(minuteSeconds ?? 1))] + headers)
        default:
            throw Problem(
                429, "daily_limit_reached", "You have sent the \(perDay ?? 0) messages of your plan's day.",
                headers: [("Retry-After", String(daySeconds ?? 1))] + headers)
        }
    }

    /// How the limits stand that there are.
    public var headers: [(String, String)] {
        var standings: [Standing] = []
        if let perDay, let used, let daySeconds {
            standings.append(
                Standing("day", limit: perDay, window: 86_400, remaining: max(0, perDay - used), seconds: daySeconds))
        }
        if let perMinute, let inMinute, let minuteSeconds {
            standings.append(
                Standing(
                    "minute", limit: perMinute, window: 60, remaining: perMinute - inMinute, seconds: minuteSeconds))
        }
        return Standing.headers(standings)
    }

    /// The answer's member `quota`.
    public static func json(_ quota: Quota?) -> String {
        guard let quota, let limit = quota.perDay, let used = quota.used, let resetsAt = quota.resetsAt else {
            return #"{"limit":null,"used":null,"remaining":null,"resets_at":null}"#
        }
        return """
            {"limit":\(limit),"used":\(used),"remaining":\(max(0, limit - used)),"resets_at":\(JSON.quoted(resetsAt))}
            """
    }
}
