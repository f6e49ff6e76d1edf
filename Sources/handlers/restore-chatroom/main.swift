import Common

struct Restored: Decodable {
    /// NULL where there is no such room in the caller's trash.
    let json: String?
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let once = try request.once(caller, "restore-chatroom", room)
    return try once.answer(from: database) {
        let restored = try database.row(
            Restored.self,
            """
            with caller as (\(caller.live) and \(once.isFirst) and \(RateLimit.rooms.allows)), r as (
                update chatrooms r set deleted_at = null
                from caller where r.user_id = caller.user_id and r.id = \(room) and \(Chatroom.isInTrash)
                returning r.*
            ), made as (
                select r.user_id, \(Chatroom.json) as json from r cross join lateral (\(Chatroom.updated)) a
            ), kept as (\(once.keep("select user_id, to_json(json::text) from made")))
            select made.json, forget_chatroom_list(made.user_id) from caller left join made on true
            """)
        guard let restored else { throw Problem.sessionEnded }
        guard let json = restored.json else { throw Problem.notFound }
        return json
    } as: { room in
        .json(room)
    }
}
