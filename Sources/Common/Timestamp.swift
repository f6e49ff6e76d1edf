import Glibc

/// An instant as RFC 3339 in UTC, kept as the text that it is sent as.
///
/// Postgres does the arithmetic of time, so that all processes on all hosts go by one clock.
public struct Timestamp: Hashable, Sendable, Codable {
    /// For instance `2026-11-22T17:05:00.123456Z`.
    public let text: String

    /// The instant as Postgres writes it, `2026-11-22 17:05:00.123456+00`, in a session whose time zone is UTC.
    init?(postgres: String) {
        guard postgres.utf8.count >= 22, postgres.hasSuffix("+00") else { return nil }
        var bytes = Array(postgres.utf8.dropLast(3))
        bytes[10] = UInt8(ascii: "T")
        bytes.append(UInt8(ascii: "Z"))
        text = String(decoding: bytes, as: UTF8.self)
    }

    private init(text: String) { self.text = text }

    /// Reads either form: the one of Postgres out of a row, RFC 3339 out of JSON.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        self = Timestamp(postgres: text) ?? Timestamp(text: text)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    /// This host's clock, for logs.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        gmtime_r(&time.tv_sec, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = [
            digits(Int(parts.tm_year) + 1900, 4), digits(Int(parts.tm_mon) + 1, 2), digits(Int(parts.tm_mday), 2),
        ]
        let clock = [digits(Int(parts.tm_hour), 2), digits(Int(parts.tm_min), 2), digits(Int(parts.tm_sec), 2)]
        let fraction = digits(Int(time.tv_nsec) / 1_000, 6)
        return Timestamp(
            text: "\(date.joined(separator: "-"))T\(clock.joined(separator: ":")).\(fraction)Z")
    }
}

/// Milliseconds of a clock that never jumps: for deadlines and durations.
public func monotonicMilliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int(time.tv_sec) * 1_000 + Int(time.tv_nsec) / 1_000_000
}

/// Seconds since 1970 by this host's clock: what tokens carry (RFC 7519, NumericDate).
public func secondsSince1970() -> Int { time(nil) }
