/// A message of a chatroom, the user's or the model's.
public enum Message {
    /// Where the worker tells of replies that changed; its payloads are their ids, with spaces between.
    public static let channel = "replies"

    /// The replies that notifications tell of. Others, on other channels, are not for us.
    public static func ids(in notifications: [Notification]) -> [String] {
        notifications.filter { $0.channel == channel }.flatMap { $0.payload.split(separator: " ").map(String.init) }
    }

    /// The answer's JSON, of the table `messages` under the name `m`. While a reply runs its content is what has come so far.
    public static let json: SQL = """
        (select row_to_json(j) from (select
            m.id, m.chatroom_id, m.role, \(content) as content, m.status, m.error, \(finishReason) as finish_reason,
            m.model, m.usage,
            case when m.variant_of is not null then (
                select json_build_object(
                    'count', count(*), 'number', count(*) filter (where s.id <= m.id), 'ids', json_agg(s.id order by s.id))
                from messages s
                where s.user_id = m.user_id and s.chatroom_id = m.chatroom_id and s.variant_of = m.variant_of
            ) end as siblings,
            case when m.attachments is null then '[]' else \(Attachment.list("m.attachments", of: "m.user_id")) end as attachments,
            \(createdAt) as created_at, m.completed_at
        ) j)
        """

    /// The text of the message `m`: of a reply that is running what has come so far, or what it continues.
    public static let content: SQL = """
        case m.status when 'running' then coalesce(nullif(partial_text(m.user_id, m.id, m.attempt), ''), m.content)
            else m.content end
        """

    /// When the message `m` was made. A reply's is a millisecond after that of its question, so that clients that sort by it keep
    /// their order; stored is the one time of the request that made both.
    public static let createdAt: SQL = """
        (m.created_at + case m.role when 'model' then \(replyDelay) else interval '0' end)
        """
    public static let replyDelay: SQL = "interval '1 millisecond'"

    /// Why the model stopped, of the reply `m`, in a word that stays whatever Gemini calls it: `stop`, `max_tokens`, `safety`,
    /// `recitation` or `other`; NULL where it did not stop by itself.
    public static let finishReason: SQL = """
        case
            when m.finish_reason is null then null
            when m.finish_reason in ('STOP', 'MAX_TOKENS') then lower(m.finish_reason)
            when m.finish_reason in ('RECITATION', 'IMAGE_RECITATION') then 'recitation'
            when m.finish_reason in (
                'SAFETY', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY', 'IMAGE_PROHIBITED_CONTENT', 'MODEL_ARMOR',
                'JAILBREAK') then 'safety'
            else 'other'
        end
        """

    /// Whether the reply `m` was cut off before its end, but not for what it said, and can be continued.
    public static let isCutOff: SQL = """
        (m.content <> '' and case m.status
            when 'done' then \(finishReason) in ('max_tokens', 'other')
            when 'failed' then coalesce(\(finishReason) not in ('safety', 'recitation'), true)
            else m.status = 'cancelled'
        end)
        """

    /// The message `m` of the caller's with this id, as what is joined to `caller`; not where its room is in the trash.
    public static func found(_ id: ID, in room: ID) -> SQL {
        """
        messages m on m.user_id = caller.user_id and m.chatroom_id = \(room) and m.id = \(id) and exists (
            select from chatrooms r where r.user_id = m.user_id and r.id = m.chatroom_id and r.deleted_at is null)
        """
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

    /// A message just written, as `json` would have it, put together here because writing it in Postgres takes a tenth of
    /// the time of sending one.
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
