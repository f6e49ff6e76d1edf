import Glibc

/// This host's clock. Postgres has the one that everything stored goes by.
enum Clock {
    /// The time as RFC 3339 in UTC, for logs.
    static var timestamp: String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        gmtime_r(&time.tv_sec, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map { digits($0, 2) }
        let clock = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)].map { digits($0, 2) }
        let fraction = digits(time.tv_nsec / 1_000, 6)
        return "\(date.joined(separator: "-"))T\(clock.joined(separator: ":")).\(fraction)Z"
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
