/// How many requests of a kind a user may send in a minute, whichever process and host they reach: the table `request_rates`.
/// What is sent at a steady pace passes; what comes at once may be as much as a minute's worth.
///
/// It rides along in the statement that does the work, as a condition on the caller:
/// `with caller as (\(caller.live) and \(RateLimit.rooms.allows))`. Where it does not hold, 429 is thrown, and the headers of
/// every answer tell how it stands.
public enum RateLimit: String, CaseIterable, Sendable {
    case rooms, search, sharing, attachments, account, export, billing

    /// The setting `RATE_ROOMS`, …; 0: no limit.
    public var perMinute: Int {
        let standard =
            switch self {
            case .rooms, .search: 60
            case .sharing, .attachments, .account: 30
            case .billing: 10
            case .export: 3
            }
        let set = Settings.number("RATE_\(rawValue.uppercased())", default: standard, in: 0...100_000)
        return Settings.limits ? set : 0
    }

    /// A condition on the caller, which counts the request.
    public var allows: SQL {
        let perMinute = perMinute
        return perMinute == 0 ? "true" : "may_request(user_id, \(rawValue), \(perMinute))"
    }
}

/// How a limit stands for a user.
public struct Standing: Sendable {
    let name: String
    let limit: Int
    /// Seconds that the limit is for.
    let window: Int
    let remaining: Int
    /// Until there is more.
    let seconds: Int

    public init(_ name: String, limit: Int, window: Int, remaining: Int, seconds: Int) {
        (self.name, self.limit, self.window, self.remaining, self.seconds) = (name, limit, window, remaining, seconds)
    }

    /// Out of the notice of `may_request`; nil where it is of something else.
    init?(notice: String) {
        let words = notice.split(separator: " ")
        guard words.count == 4, let limit = Int(words[1]), let remaining = Int(words[2]), let seconds = Int(words[3])
        else { return nil }
        self.init(String(words[0]), limit: limit, window: 60, remaining: remaining, seconds: seconds)
    }

    /// As the IETF's draft has them (draft-ietf-httpapi-ratelimit-headers-10).
    public static func headers(_ standings: [Standing]) -> [(String, String)] {
        guard !standings.isEmpty else { return [] }
        let policies = standings.map { "\"\($0.name)\";q=\($0.limit);w=\($0.window)" }
        let states = standings.map { "\"\($0.name)\";r=\($0.remaining);t=\($0.seconds)" }
        return [
            ("RateLimit-Policy", policies.joined(separator: ", ")), ("RateLimit", states.joined(separator: ", ")),
        ]
    }
}

extension Problem {
    /// The user sends faster than they may.
    static func rateLimited(seconds: Int) -> Problem {
        Problem(
            429, "rate_limited", "Too many requests of this kind; wait \(seconds) s.",
            headers: [("Retry-After", String(seconds))])
    }
}
