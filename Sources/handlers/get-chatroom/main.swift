import Common

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, keys: 1)
    let id = try request.pathID("CHATROOM_ID")
    let room = try database.answer(
        """
        with caller as (\(caller.live))
        select case when r.id is not null then \(Chatroom.json) end as json
        from caller left join chatrooms r on r.user_id = caller.user_id and r.id = \(id)
        left join lateral (\(Chatroom.updated)) a on true
        """)
    let messages = try MessagePage(page, of: id, caller: caller, database: database)
    return .json("\(room.dropLast()),\(messages.members)}")
}
