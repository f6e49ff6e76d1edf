/// A time as others give it, in seconds since 1970: between that and the end of the year 9999, which Postgres can store whatever is
/// added to it. What is outside counts as the nearer end.
public struct UnixTime: Codable, Sendable {
    public let seconds: Int

    public init(from decoder: any Decoder) throws {
        seconds = min(max(0, try decoder.singleValueContainer().decode(Int.self)), 253_402_300_799)
    }

    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(seconds)
    }
}
