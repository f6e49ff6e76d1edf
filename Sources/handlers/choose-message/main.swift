import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let message: JSONAnswer = try database.call("choose_message", caller, RateLimit.rooms.perMinute, room, id)
    return .json(message)
}
