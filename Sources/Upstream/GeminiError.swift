import Common

/// An error as Google's services write it (https://cloud.google.com/apis/design/errors). What of it cannot be read is left out:
/// an error is an error.
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

        enum CodingKeys: String, CodingKey { case retryDelay, violations, reason }

        public init(from decoder: any Decoder) throws {
            let members = try decoder.container(keyedBy: CodingKeys.self)
            retryDelay = try? members.decodeIfPresent(String.self, forKey: .retryDelay)
            violations = try? members.decodeIfPresent([Violation].self, forKey: .violations)
            reason = try? members.decodeIfPresent(String.self, forKey: .reason)
        }
    }

    enum CodingKeys: String, CodingKey { case code, message, status, details }

    /// An error that came as a status of HTTP alone.
    init(status code: Int) { (self.code, message, status, details) = (code, "", nil, nil) }

    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        // The code of an error that has none is Google's for "unknown".
        code = (try? members.decodeIfPresent(Int.self, forKey: .code)) ?? 500
        message = (try? members.decodeIfPresent(String.self, forKey: .message)) ?? ""
        status = try? members.decodeIfPresent(String.self, forKey: .status)
        details = try? members.decodeIfPresent([Detail].self, forKey: .details)
    }

    /// Seconds after which to try again, an hour at most, as RetryInfo has it or at least the message; nil where neither does.
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

    /// Whether a file is what is wrong: "Unable to process input image", "The document has no pages", "Unsupported MIME type: …".
    /// There is no reason of its own for it (https://github.com/googleapis/js-genai/issues/862).
    public var isOfFile: Bool {
        let words = ["image", "document", "pdf", "mime type", "inline_data"]
        let message = message.lowercased()
        return code == 400 && status != "FAILED_PRECONDITION" && words.contains { message.contains($0) }
    }

    /// `45.8s` or `373.8ms`. It is a hint, whoever wrote it: what is longer than an hour counts as an hour.
    private static func seconds(_ text: some StringProtocol) -> Double? {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard var value = Double(number.last == "." ? number.dropLast() : number) else { return nil }
        if text.dropFirst(number.count).hasPrefix("ms") { value /= 1_000 }
        return min(value, 3_600)
    }
}
