/// A question and the reply that is to come, as an endpoint's function tells of them (`turn_answer`).
public struct Turn: Decodable, Sendable {
    private let verdict: String?
    /// That of the request, from 1, where the function does the work of several.
    public let number: Int?
    private let question: ID?
    private let reply: ID?
    /// Their times as JSON. The reply's is not in what a release before this kept.
    private let at: String?
    private let repliedAt: String?
    /// As JSON, of the message that has some: of the question, where that is a new one.
    private let siblings: String?
    /// The question's, as JSON.
    private let attachments: String?
    /// What the reply goes on from.
    private let begun: String?
    /// The JSON of a question that was there before.
    private let message: String?
    private let quota: Quota

    enum CodingKeys: String, CodingKey {
        case verdict, number, question, reply, at, siblings, attachments, begun, message
        case repliedAt = "replied_at"
    }

    public init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        verdict = try row.decodeIfPresent(String.self, forKey: .verdict)
        number = try row.decodeIfPresent(Int.self, forKey: .number)
        question = try row.decodeIfPresent(ID.self, forKey: .question)
        reply = try row.decodeIfPresent(ID.self, forKey: .reply)
        at = try row.decodeIfPresent(String.self, forKey: .at)
        repliedAt = try row.decodeIfPresent(String.self, forKey: .repliedAt)
        siblings = try row.decodeIfPresent(String.self, forKey: .siblings)
        attachments = try row.decodeIfPresent(String.self, forKey: .attachments)
        begun = try row.decodeIfPresent(String.self, forKey: .begun)
        message = try row.decodeIfPresent(String.self, forKey: .message)
        quota = try Quota(from: decoder)
    }

    /// The answer: 202, with the question, the reply and how the limits stand.
    /// - Parameter content: what the question says, where it is a new one.
    public func accepted(in room: ID, content: String = "") throws -> Response {
        guard let reply, let repliedAt = repliedAt ?? at else { throw DatabaseError.mismatch("a turn without a reply") }
        let isNew = message == nil
        let json = try message ?? newQuestion(in: room, content: content)
        let replyJSON = Message.queuedReply(
            reply, in: room, content: begun ?? "", at: repliedAt, siblings: isNew ? "null" : siblings ?? "null")
        return .json(
            "{\"message\":\(json),\"reply\":\(replyJSON),\"quota\":\(quota.json)}", status: 202,
            headers: [("Location", "/chatroom/\(room)/message/\(reply)")] + quota.headers
                + Response.replayHeaders(verdict))
    }

    private func newQuestion(in room: ID, content: String) throws -> String {
        guard let question, let at else { throw DatabaseError.mismatch("a turn without a question") }
        return Message.question(
            question, in: room, content: content, at: at, siblings: siblings ?? "null", attachments: attachments)
    }
}
