import Common

struct Found: Decodable {
    /// NULL where there is no such message of the caller's.
    let role: String?
    let json: String
}

/// What the reply `m` was given, from its branch: all that was sent of the conversation, without what failed. Older replies were
/// given the questions of failed ones too, as the number of messages tells that is kept.
let provenance: SQL = """
    (select row_to_json(j) from (select
        m.model, (
            select json_build_object('id', s.id, 'content', s.content, 'upto', s.upto, 'created_at', s.created_at)
            from summaries s
            where s.user_id = m.user_id and s.chatroom_id = m.chatroom_id and s.id = (m.provenance ->> 'summary')::uuid
        ) as summary,
        coalesce((
            select case
                when count(*) = (m.provenance ->> 'count')::int and bool_or(g.id = r.oldest) then json_agg(g.id order by g.id)
                else json_agg(g.id order by g.id) filter (where not g.is_unanswered)
            end
            from (select m.user_id, m.chatroom_id, m.id, m.branch, (m.provenance ->> 'from')::uuid as oldest) r
            cross join lateral (
                select m.id, m.is_unanswered from (
                    select m.*, \(Message.isUnanswered) as is_unanswered from messages m
                    where m.user_id = r.user_id and m.chatroom_id = r.chatroom_id and m.id >= r.oldest and m.id < r.id
                        and \(Message.isOn("r.branch"))
                ) m
                where \(Message.isSaid)
            ) g
        ), '[]') as messages,
        m.provenance -> 'tokens' as tokens
    ) j)
    """

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let found = try database.row(
        Found.self,
        """
        with caller as (\(caller.live))
        select m.role, \(provenance) as json
        from caller left join \(Message.found(id, in: room))
        """)
    guard let found else { throw Problem.sessionEnded }
    guard let role = found.role else { throw Problem.notFound }
    guard role == "model" else { throw Message.notAReply }
    return .json(found.json)
}
