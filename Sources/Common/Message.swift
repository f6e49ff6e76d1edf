/// A message of a chatroom, the user's or the model's: of a row's columns of the same names.
public struct Message: Codable, Sendable {
    /// The tokens that a reply took, as Gemini counts them.
    public struct Usage: Codable, JSONColumn, Sendable {
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

    /// Why a reply could not be had, for the user to read.
    public struct Failure: Codable, JSONColumn, Sendable, Equatable {
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

    public let id: ID
    public let chatroomID: ID
    /// `user` or `model`.
    public let role: String
    public let content: String
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    public let status: String
    public let error: Failure?
    /// The model that answered, by its own word.
    public let model: String?
    public let usage: Usage?
    public let createdAt: Timestamp
    public let completedAt: Timestamp?

    /// Whether nothing will change any more by itself.
    public var isFinished: Bool { status != "queued" && status != "running" }

    enum CodingKeys: String, CodingKey {
        case id, role, content, status, error, model, usage
        case chatroomID = "chatroom_id"
        case createdAt = "created_at"
        case completedAt = "completed_at"
    }

    /// The columns that a `Message` is decoded from, of the table `messages` under the name `m`.
    public static let columns: SQL = """
        m.id, m.chatroom_id, m.role, m.content, m.status, m.error, m.model, m.usage, m.created_at, m.completed_at
        """
}
