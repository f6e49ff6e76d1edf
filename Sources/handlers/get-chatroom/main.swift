import Common

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("CHATROOM_ID")
    let room = try database.answer(
        """
        with caller as (\(caller.live))
        select case when r.id is not null then \(Chatroom.json) end as json
        from caller left join \(Chatroom.found(id))
        left join lateral (\(Chatroom.updated)) a on true
        """)
    let messages = try MessagePage(request, of: id, caller: caller, database: database)
    return .json("\(room.dropLast()),\(messages.members)}")
}
