/// A message of a chatroom, the user's or the model's.
public enum Message {
    /// Where the worker tells of replies that changed; its payloads are their ids, with spaces between.
    public static let channel = "replies"

    /// The replies that notifications tell of. Others, on other channels, are not for us.
    public static func ids(in notifications: [Notification]) -> [String] {
        notifications.filter { $0.channel == channel }.flatMap { $0.payload.split(separator: " ").map(String.init) }
    }

    /// Whether the message `m` is part of what was said: replies that never came are not.
    public static let isSaid: SQL = "(m.status = 'done' or m.status = 'cancelled' and m.content <> '')"

    /// Whether the reply to the message `m` failed, as a column of the messages `m` of one branch. Such a question does not go to
    /// Gemini again: what was refused once, a file or a word, would be refused with every later message.
    public static let isUnanswered: SQL = """
        (m.role = 'user' and lag(m.status) over (order by m.id desc) is not distinct from 'failed')
        """

    /// Whether the message `m` is on a branch of its room, of which `branch` is the number.
    public static func isOn(_ branch: SQL) -> SQL {
        """
        (m.branch = \(branch) or \(branch) > 0 and exists (
            select from branches cross join unnest(branches.path, branches.below) as part (branch, below)
            where branches.user_id = m.user_id and branches.chatroom_id = m.chatroom_id and branches.id = \(branch)
                and part.branch = m.branch and m.id < part.below
        ))
        """
    }

    /// A message just written, as `message_json` would have it, put together here because writing it in Postgres takes a tenth
    /// of the time of sending one.
    /// - Parameters:
    ///   - at: the time as JSON.
    ///   - siblings, attachments: the members of these names as JSON.
    public static func question(
        _ id: ID, in room: ID, content: String, at: String, siblings: String = "null", attachments: String? = nil
    ) -> String {
        """
        {"id":"\(id)","chatroom_id":"\(room)","role":"user","content":\(JSON.quoted(content)),"status":"done","error":null,\
        "finish_reason":null,"model":null,"usage":null,"siblings":\(siblings),"attachments":\(attachments ?? "[]"),\
        "created_at":\(at),"completed_at":\(at)}
        """
    }

    /// The reply to it that is still to come.
    /// - Parameter content: what it continues.
    public static func queuedReply(
        _ id: ID, in room: ID, content: String = "", at: String, siblings: String = "null"
    ) -> String {
        """
        {"id":"\(id)","chatroom_id":"\(room)","role":"model","content":\(JSON.quoted(content)),"status":"queued",\
        "error":null,"finish_reason":null,"model":null,"usage":null,"siblings":\(siblings),"attachments":[],\
        "created_at":\(at),"completed_at":null}
        """
    }

    /// What was asked for is for replies, and this is a message of the user's.
    public static let notAReply = Problem(409, "not_a_reply", "This message is the user's; this is for replies.")

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
        /// `prompt_blocked`, `safety_blocked`, `recitation_blocked`, `language_unsupported`, `file_refused`, `request_refused`,
        /// `answer_malformed`, `answer_empty`, `upstream_busy`, `upstream_quota`, `too_long`, `timeout` or `internal`.
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
