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
    let once = try request.once("create-chatroom")
    let room: JSONAnswer = try database.call(
        "create_chatroom", caller, once, RateLimit.rooms.perMinute, new.title, new.systemInstruction, new.model,
        Plan.basic.models, Plan.pro.models, Settings.model)
    return .json(room, status: 201)
}
