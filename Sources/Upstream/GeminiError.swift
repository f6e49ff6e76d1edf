import Common

/// An error as Google's services write it (https://cloud.google.com/apis/design/errors).
public struct GeminiError: Decodable, Sendable {
    public let code: Int
    public let message: String
    public let status: String?
    public let details: [Detail]?

    /// One of google.rpc's; only what is looked at.
    public struct Detail: Decodable, Sendable {
        public struct Violation: Decodable, Sendable { public let quotaId: String? }
        public let retryDelay: String?
        public let violations: [Violation]?
        public let reason: String?
    }

    /// Seconds after which to try again, as RetryInfo has it or at least the message; nil where neither does.
    public var retryDelay: Double? {
        if let delay = details?.compactMap(\.retryDelay).first { return GeminiError.seconds(delay) }
        let marker = "Please retry in "
        guard let range = message.firstRange(of: marker) else { return nil }
        return GeminiError.seconds(message[range.upperBound...].prefix { !$0.isWhitespace })
    }

    /// Whether a quota is used up that does not fill again within minutes.
    public var isDailyQuota: Bool {
        let quotas = details?.flatMap { $0.violations ?? [] }.compactMap(\.quotaId) ?? []
        return quotas.contains { $0.contains("PerDay") || $0.contains("Daily") } || message.contains("limit: 0")
            || (retryDelay ?? 0) > 300
    }

    /// `45.8s` or `373.8ms`.
    private static func seconds(_ text: some StringProtocol) -> Double? {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard var value = Double(number.last == "." ? number.dropLast() : number) else { return nil }
        if text.dropFirst(number.count).hasPrefix("ms") { value /= 1_000 }
        return value
    }
}
