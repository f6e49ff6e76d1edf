import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let done: Done = try database.call("delete_chatroom", caller, RateLimit.rooms.perMinute, room)
    // What the worker does for it ends, and others may have its turn.
    Doorbell.bell.ring()
    return .done(done)
}
