/// A message of a chatroom, the user's or the model's.
public enum Message {
    /// The answer's JSON, of the table `messages` under the name `m`.
    public static let json: SQL = """
        (select row_to_json(j) from (select
            m.id, m.chatroom_id, m.role, m.content, m.status, m.error, m.model, m.usage, m.created_at, m.completed_at
        ) j)
        """

    /// The tokens that a reply took, as Gemini counts them: the column `usage`.
    public struct Usage: Codable, Sendable {
        public let promptTokens: Int
        public let outputTokens: Int
        public let totalTokens: Int

        public init(promptTokens: Int, outputTokens: Int, totalTokens: Int) {
            self.promptTokens = promptTokens
            self.outputTokens = outputTokens
            self.totalTokens = totalTokens
        }

        enum CodingKeys: String, CodingKey {
            case promptTokens = "prompt_tokens"
            case outputTokens = "output_tokens"
            case totalTokens = "total_tokens"
        }
    }

    /// Why a reply could not be had, for the user to read: the column `error`.
    public struct Failure: Codable, Sendable {
        /// `safety_blocked`, `upstream_busy`, `upstream_quota`, `too_long`, `timeout` or `internal`.
        public let code: String
        public let detail: String
        /// Whether asking again may help.
        public let retryable: Bool

        public init(code: String, detail: String, retryable: Bool) {
            self.code = code
            self.detail = detail
            self.retryable = retryable
        }
    }
}
