import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let message: JSONAnswer = try database.call("cancel_reply", caller, room, id)
    // The room's next reply may begin.
    Doorbell.bell.ring()
    return .json(message)
}
