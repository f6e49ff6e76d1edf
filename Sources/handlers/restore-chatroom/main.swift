import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let once = try request.once("restore-chatroom", room)
    let restored: JSONAnswer = try database.call(
        "restore_chatroom", caller, once, RateLimit.rooms.perMinute, room, Settings.model, Settings.trashDays)
    return .json(restored)
}
