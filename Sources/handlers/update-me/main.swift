import Common

/// What is to change; a member that is missing stays as it is.
struct Changes: Decodable {
    /// NULL takes the name away.
    let username: Change<Username>
    let timezone: TimeZone?
    /// NULL is for ever.
    let retentionDays: Change<RetentionDays>

    enum CodingKeys: String, CodingKey {
        case username, timezone
        case retentionDays = "retention_days"
    }

    init(from decoder: any Decoder) throws {
        let body = try decoder.container(keyedBy: CodingKeys.self)
        username = try body.change(.username)
        timezone = body.contains(.timezone) ? try body.decode(TimeZone.self, forKey: .timezone) : nil
        retentionDays = try body.change(.retentionDays)
    }

    /// Makes them, but for the time zone, and selects the user.
    /// - Parameter caller: selects `user_id`, once for each request.
    func made(by caller: SQL) -> SQL {
        """
        with caller as (\(caller)), changed as (
            update users u set
                username = \(username.or("u.username")),
                retention_days = \(retentionDays.or("u.retention_days"))
            from caller where u.id = caller.user_id
            returning \(User.json) as json
        ), swept as (
            update chatrooms r set sweep_at = now() from caller
            where r.user_id = caller.user_id and \(retentionDays.isNamed)::bool
        )
        select changed.json from caller left join changed on true
        """
    }

    static let unknownTimeZone = Problem(
        422, "invalid", "timezone \(TimeZoneRule.unknown).",
        fields: [.init(TimeZoneRule.unknown, at: [CodingKeys.timezone])])
}

typealias TimeZone = Text<TimeZoneRule>

/// A name of the IANA's: `Asia/Kolkata`, or `UTC`. Postgres takes more for a time zone, such as `IST` and `X+3`, which mean
/// something else elsewhere or nothing; what passes here is nothing to it, or a name of its list.
enum TimeZoneRule: TextRule {
    static let length = 1...64
    static let unknown = "must be a name of the IANA time zone database, such as Asia/Kolkata"

    static func fault(_ text: String) -> String? {
        // A digit would make an unknown name a rule of POSIX's.
        let hasName = text.wholeMatch(of: /[A-Z][A-Za-z_]+(\/[A-Z][A-Za-z_]*(-[A-Za-z_]+)*)+/) != nil
        let hasOffset = text.wholeMatch(of: /Etc\/GMT([+-]([0-9]|1[0-2])|-1[34])/) != nil
        return hasName || hasOffset || text == "UTC" ? nil : unknown
    }
}

serve { request, database in
    let changes: Changes = try request.json()
    let caller = try request.caller()
    let allowed: SQL = "\(caller.live) and \(RateLimit.account.allows)"
    guard let timezone = changes.timezone else {
        return .json("{\"user\":\(try database.answer(changes.made(by: allowed)))}")
    }
    do {
        let user = try database.transaction {
            // That Postgres knows the zone is seen from its being used: to look for it in pg_timezone_names takes 20 ms.
            try database.execute(
                "with caller as (\(allowed)) select change_timezone(user_id, \(timezone)) from caller")
            return try database.answer(changes.made(by: caller.live))
        }
        return .json("{\"user\":\(user)}")
    } catch DatabaseError.refused("22023", _, _) {
        throw Changes.unknownTimeZone
    }
}
