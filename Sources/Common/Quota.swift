/// How the messages stand that a limited user may send, in their day and in a minute: what `reserve_place` tells of it.
public struct Quota: Decodable, Sendable {
    /// Nil where nobody has limits.
    private let tier: String?
    private let used: Int?
    /// The user's next midnight, as JSON.
    private let resetsAt: String?
    /// Until then.
    private let daySeconds: Int?
    /// Seconds of the minute to come that are taken.
    private let ahead: Double?

    enum CodingKeys: String, CodingKey {
        case tier, used, ahead
        case resetsAt = "resets_at"
        case daySeconds = "day_seconds"
    }

    private var plan: Plan? { tier.map(Plan.of(tier:)) }

    /// What `reserve_place` wants to know: messages in a day and in a minute, of basic and of pro; nil where nobody has limits.
    public static let limits: [Int]? = {
        let limits = [Plan.basic, .pro].flatMap { [$0.messagesPerDay, $0.messagesPerMinute] }
        return limits.contains { $0 > 0 } ? limits : nil
    }()

    /// Microseconds of a minute that a message takes: a minute's worth may come at once, and then one as often as that.
    private static func step(_ plan: Plan) -> Int {
        plan.messagesPerMinute == 0 ? 0 : 60_000_000 / plan.messagesPerMinute
    }

    /// There is no place in the day any more.
    var dayProblem: Problem {
        Problem(
            429, "daily_limit_reached", "You have sent the \(plan?.messagesPerDay ?? 0) messages of your plan's day.",
            headers: [("Retry-After", String(daySeconds ?? 1))] + headers)
    }

    /// There is none in the minute.
    var minuteProblem: Problem {
        let step = plan.map(Quota.step) ?? 0
        let wait = max(1, Int(((ahead ?? 0) + Double(step) / 1e6 - 60).rounded(.up)))
        return Problem(
            429, "rate_limited", "You send too fast; wait \(wait) s.",
            headers: [("Retry-After", String(wait))] + headers)
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
