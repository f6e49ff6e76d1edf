/// How many requests of a kind a user may send in a minute, whichever process and host they reach: the table `request_rates`.
/// What is sent at a steady pace passes; what comes at once may be as much as a minute's worth.
///
/// An endpoint's function counts the request (`count_request`), and says in the columns `verdict` and `standing` what came of that.
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
}

/// How a limit stands for a user.
public struct Standing: Decodable, Sendable {
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

    /// Out of the words of `count_request`.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        let words = text.split(separator: " ")
        guard words.count == 4, let limit = Int(words[1]), let remaining = Int(words[2]), let seconds = Int(words[3])
        else {
            throw DatabaseError.mismatch("no standing: \(text)")
        }
        self.init(String(words[0]), limit: limit, window: 60, remaining: remaining, seconds: seconds)
    }

    /// As the IETF's draft has them (draft-ietf-httpapi-ratelimit-headers-10).
    public static func headers(_ standing: Standing?) -> [(String, String)] { headers(standing.map { [$0] } ?? []) }

    /// The same for several limits.
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
