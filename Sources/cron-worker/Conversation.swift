import Common

/// What of a conversation goes to Gemini with its last message: the newest messages of the reply's branch that fit the
/// budget, and a summary of what came before, if there is one.
struct Conversation: JSONColumn {
    struct Turn: Decodable {
        let id: ID
        let role: String
        let content: String
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
        turns = Array((try members.decodeIfPresent([Turn].self, forKey: .turns) ?? []).drop { $0.role != "user" })
        tokens = try members.decodeIfPresent(Int.self, forKey: .tokens) ?? 0
        summaryID = try members.decodeIfPresent(ID.self, forKey: .summaryID)
        summary = try members.decodeIfPresent(String.self, forKey: .summary)
        outgrown = try members.decodeIfPresent(ID.self, forKey: .outgrown)
    }

    /// An estimate of the tokens of the message `m`: a token for each four bytes, unless Gemini has counted.
    static let estimate: SQL = "coalesce(m.tokens, octet_length(m.content) / 4) + 4"

    /// Selects the conversation, as JSON, that the reply `c` on the branch `b.branch` answers.
    ///
    /// The count of tokens is what Gemini said of its own replies. The user's messages are estimated, by as much more or less
    /// as the room's last prompt was estimated too low or too high. When less than a third of the budget is left, the older
    /// part, down to a third, is named to be summarised.
    /// - Parameter budget: how many tokens may go along.
    static func json(budget: SQL) -> SQL {
        """
        select json_build_object(
            'turns', json_agg(json_build_object('id', t.id, 'role', t.role, 'content', t.content) order by t.id)
                filter (where t.fits),
            'tokens', round(sum(t.estimate) filter (where t.fits)), 'summary_id', max(t.summary_id::text),
            'summary', max(t.summary), 'outgrown', case when max(t.sum) > max(t.budget) * 0.7 then
                (array_agg(t.id order by t.id desc) filter (where t.role = 'model' and t.sum > t.budget * 0.35))[1] end
        ) as conversation
        from (
            select n.*, sum(n.tokens) over newest as sum,
                sum(n.tokens) over newest <= n.budget or row_number() over newest = 1 as fits
            from (
                select m.id, m.role, m.content, s.id as summary_id, s.content as summary, \(budget) as budget,
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
                    select * from messages m
                    where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id < c.id and \(Message.isSaid)
                        and m.id > coalesce(s.upto, '00000000-0000-0000-0000-000000000000')
                        and \(Message.isOn("b.branch"))
                    order by m.id desc limit 400
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
