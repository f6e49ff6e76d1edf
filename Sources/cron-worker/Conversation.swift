import Common
import Upstream

/// What of a conversation goes to Gemini with its last message: the newest messages of the reply's branch that fit the
/// budget, and a summary of what came before, if there is one. Exchanges whose reply failed are left out.
struct Conversation: JSONColumn {
    struct Turn: Decodable {
        let id: ID
        let role: String
        let content: String
        var attachments: [Attached]?
    }

    /// An attachment of a message.
    struct Attached: Decodable {
        let id: ID
        let mediaType: String
        let bytes: Int

        enum CodingKeys: String, CodingKey {
            case id, bytes
            case mediaType = "media_type"
        }
    }
    /// The oldest first, beginning with the user's.
    let turns: [Turn]
    /// Their tokens: as Gemini counted them, or estimated.
    let tokens: Int
    let summaryID: ID?
    let summary: String?
    /// Set where the conversation is about to outgrow its budget: up to here it should be summarised.
    let outgrown: ID?

    enum CodingKeys: String, CodingKey {
        case turns, tokens, summary, outgrown
        case summaryID = "summary_id"
    }

    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        let turns = (try members.decodeIfPresent([Turn].self, forKey: .turns) ?? []).drop { $0.role != "user" }
        self.turns = Conversation.fitting(turns, bytes: Attachment.longestOfMessage)
        tokens = try members.decodeIfPresent(Int.self, forKey: .tokens) ?? 0
        summaryID = try members.decodeIfPresent(ID.self, forKey: .summaryID)
        summary = try members.decodeIfPresent(String.self, forKey: .summary)
        outgrown = try members.decodeIfPresent(ID.self, forKey: .outgrown)
    }

    /// Of the attachments, only the newest go along that have at most so many bytes together.
    private static func fitting(_ turns: ArraySlice<Turn>, bytes: Int) -> [Turn] {
        var (turns, left) = (Array(turns), bytes)
        for index in turns.indices.reversed() {
            guard let attachments = turns[index].attachments else { continue }
            left -= attachments.reduce(0) { $0 + $1.bytes }
            if left < 0 { turns[index].attachments = nil }
        }
        return turns
    }

    /// An estimate of the tokens of the text of the message `m`: a token for each four bytes, unless Gemini has counted.
    static let textEstimate: SQL = "coalesce(m.tokens, octet_length(m.content) / 4) + 4"

    /// The same of all of it. A picture is 1,120 tokens, a page of a PDF 560 (https://ai.google.dev/gemini-api/docs/media-resolution,
    /// Gemini 3), and how many pages there are shows in few PDFs: one for each 100 KB.
    private static let estimate: SQL = """
        \(textEstimate) + case when m.attachments is null then 0 else (
            select coalesce(sum(case a.media_type when 'application/pdf' then 560 * (1 + a.bytes / 100000) else 1120 end), 0)
            from attachments a where a.user_id = m.user_id and a.id = any(m.attachments)
        ) end
        """

    /// Selects the conversation, as JSON, that the reply `c` on the branch `b.branch` answers.
    ///
    /// The count of tokens is what Gemini said of its own replies. The user's messages are estimated, by as much more or less
    /// as the room's last prompt was estimated too low or too high. When less than a third of the budget is left, the older
    /// part, down to a third, is named to be summarised.
    /// - Parameter budget: how many tokens may go along.
    static func json(budget: SQL) -> SQL {
        """
        select json_build_object(
            'turns', json_agg(json_build_object(
                'id', t.id, 'role', t.role, 'content', t.content, 'attachments', t.attachments
            ) order by t.id) filter (where t.fits),
            'tokens', round(sum(t.estimate) filter (where t.fits)), 'summary_id', max(t.summary_id::text),
            'summary', max(t.summary), 'outgrown', case when max(t.sum) > max(t.budget) * 0.7 then
                (array_agg(t.id order by t.id desc) filter (where t.role = 'model' and t.sum > t.budget * 0.35))[1] end
        ) as conversation
        from (
            select n.*, sum(n.tokens) over newest as sum,
                sum(n.tokens) over newest <= n.budget or row_number() over newest = 1 as fits
            from (
                select m.id, m.role, m.content, s.id as summary_id, s.content as summary, \(budget) as budget,
                    case when m.attachments is not null then \(Attachment.list("m.attachments", of: "m.user_id")) end as attachments,
                    \(estimate) as estimate,
                    case m.role when 'user' then (\(estimate)) * coalesce(f.factor, 1) else \(estimate) end as tokens
                from (values (1)) one
                left join lateral (\(Conversation.summary)) s on true
                left join lateral (
                    select least(4, greatest(0.25, (m.usage ->> 'prompt_tokens')::float8
                        / nullif((m.provenance ->> 'tokens')::float8, 0))) as factor
                    from messages m
                    where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id < c.id and m.status = 'done'
                        and m.role = 'model' and \(Message.isOn("b.branch"))
                    order by m.id desc limit 1
                ) f on true
                join lateral (
                    select * from (
                        select m.*, \(Message.isUnanswered) as is_unanswered from (
                            select * from messages m
                            where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id < c.id
                                and m.id > coalesce(s.upto, '00000000-0000-0000-0000-000000000000')
                                and \(Message.isOn("b.branch"))
                            order by m.id desc limit 400
                        ) m
                    ) m
                    where \(Message.isSaid) and not m.is_unanswered
                ) m on true
            ) n
            window newest as (order by n.id desc)
        ) t
        """
    }

    /// Selects the latest summary on the branch `b.branch` of what was before the job `c`.
    private static let summary: SQL = """
        select s.* from summaries s
        join messages m on m.user_id = s.user_id and m.chatroom_id = s.chatroom_id and m.id = s.upto
        where s.user_id = c.user_id and s.chatroom_id = c.lane and s.upto < c.id and \(Message.isOn("b.branch"))
        order by s.upto desc limit 1
        """
}

extension Conversation.Turn {
    /// As Gemini gets it; the bytes of attachments are read from Postgres while they are sent.
    func sent(by user: ID, from database: Database) -> Gemini.Turn {
        let attachments = (attachments ?? []).map { attachment in
            let pieces = Attachment.pieces(of: attachment.id, bytes: attachment.bytes, user: user, database: database)
            return Gemini.Attachment(
                mediaType: attachment.mediaType,
                base64: pieces.map { piece in
                    .fetched(count: piece.base64Length) { Array(try piece.base64().utf8) }
                })
        }
        return Gemini.Turn(role: role, content: content, attachments: attachments)
    }
}
