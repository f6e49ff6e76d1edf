import Common

struct Found: Decodable {
    /// NULL where there is no such message of the caller's.
    let role: String?
    let json: String
}

/// What the reply `m` was given, from its branch: all that was sent of the conversation, without what failed.
let provenance: SQL = """
    (select row_to_json(j) from (select
        m.model, (
            select json_build_object('id', s.id, 'content', s.content, 'upto', s.upto, 'created_at', s.created_at)
            from summaries s
            where s.user_id = m.user_id and s.chatroom_id = m.chatroom_id and s.id = (m.provenance ->> 'summary')::uuid
        ) as summary,
        coalesce((
            select json_agg(g.id order by g.id)
            from (select m.user_id, m.chatroom_id, m.id, m.branch, (m.provenance ->> 'from')::uuid as oldest) r
            cross join lateral (
                select m.id from messages m
                where m.user_id = r.user_id and m.chatroom_id = r.chatroom_id and m.id >= r.oldest and m.id < r.id
                    and \(Message.isSaid) and \(Message.isOn("r.branch"))
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
