import Common

struct Answer: Encodable {
    let room: Chatroom
    let messages: MessagePage

    func encode(to encoder: any Encoder) throws {
        try room.encode(to: encoder)
        try messages.encode(to: encoder)
    }
}

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("CHATROOM_ID")
    let rooms = try database.found(
        Chatroom.self,
        """
        with caller as (\(caller.live))
        select \(Chatroom.columns)
        from caller left join chatrooms r on r.user_id = caller.user_id and r.id = \(id)
        """)
    guard let room = rooms.first else { throw Problem.notFound }
    let page = try MessagePage(Page(request, keys: 1), of: id, caller: caller, database: database)
    return try .json(Answer(room: room, messages: page))
}
