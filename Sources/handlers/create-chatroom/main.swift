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
    let room = try database.row(
        Chatroom.self,
        """
        with caller as (\(caller.live)), r as (
            insert into chatrooms (user_id, title, system_instruction, model)
            select user_id, \(new.title), \(new.systemInstruction), \(new.model) from caller
            returning *
        ), listed as (\(Chatroom.bumpList(of: "select user_id from caller")))
        select \(Chatroom.columns) from r
        """)
    guard let room else { throw Problem.sessionEnded }
    return try .json(room, status: 201)
}
