import Common

struct NewChatroom: Decodable {
    let title: Title?
    let systemInstruction: SystemInstruction?
    let model: Model?

    enum CodingKeys: String, CodingKey {
        case title, model
        case systemInstruction = "system_instruction"
    }
}

struct Created: Decodable {
    /// NULL where the plan forbids it.
    let json: String?
}

serve { request, database in
    let new: NewChatroom = try request.json()
    let caller = try request.caller()
    let once = try request.once(caller, "create-chatroom")
    return try once.answer(from: database) {
        let created = try database.row(
            Created.self,
            """
            with caller as (\(caller.live) and \(once.isFirst) and \(RateLimit.rooms.allows)), r as (
                insert into chatrooms (user_id, title, system_instruction, model)
                select u.id, \(new.title), \(new.systemInstruction), \(new.model)
                from caller join users u on u.id = caller.user_id where \(Plan.allows(new.model))
                returning *
            ), made as (
                select r.user_id, \(Chatroom.json) as json from r cross join lateral (\(Chatroom.updated)) a
            ), kept as (\(once.keep("select user_id, to_json(json::text) from made")))
            select made.json, forget_chatroom_list(made.user_id) from caller left join made on true
            """)
        guard let created else { throw Problem.sessionEnded }
        guard let room = created.json else { throw Problem.planForbids }
        return room
    } as: { room in
        .json(room, status: 201)
    }
}
