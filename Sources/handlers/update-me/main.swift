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
}

typealias TimeZone = Text<TimeZoneRule>

/// A name of the IANA's: `Asia/Kolkata`, or `UTC`. Postgres takes more for a time zone, such as `IST` and `X+3`, which mean
/// something else elsewhere or nothing; what passes here is nothing to it, or a name of its list.
enum TimeZoneRule: TextRule {
    static let length = 1...64

    static func fault(_ text: String) -> String? {
        // A digit would make an unknown name a rule of POSIX's.
        let hasName = text.wholeMatch(of: /[A-Z][A-Za-z_]+(\/[A-Z][A-Za-z_]*(-[A-Za-z_]+)*)+/) != nil
        let hasOffset = text.wholeMatch(of: /Etc\/GMT([+-]([0-9]|1[0-2])|-1[34])/) != nil
        return hasName || hasOffset || text == "UTC" ? nil : TimeZoneName.unknown
    }
}

serve { request, database in
    let changes: Changes = try request.json()
    let user: JSONAnswer = try database.call(
        "update_me", try request.caller(), RateLimit.account.perMinute, changes.username.isNamed,
        changes.username.value,
        changes.timezone, changes.retentionDays.isNamed, changes.retentionDays.value)
    return .json("{\"user\":\(user.json)}", headers: Standing.headers(user.standing))
}
