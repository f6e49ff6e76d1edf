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

serve { request, database in
    let new: NewChatroom = try request.json()
    let caller = try request.caller()
    let room = try database.answer(
        """
        with caller as (\(caller.live)), r as (
            insert into chatrooms (user_id, title, system_instruction, model)
            select user_id, \(new.title), \(new.systemInstruction), \(new.model) from caller
            returning *
        )
        select \(Chatroom.json) as json, forget_chatroom_list(r.user_id) from r cross join lateral (\(Chatroom.updated)) a
        """)
    return .json(room, status: 201)
}
