import Common

serve { request, _ in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    // A long conversation takes its time, as in delete-me.
    let database = Database(timeout: 35_000)
    return .done(
        try database.call("purge_chatroom", caller, RateLimit.rooms.perMinute, room, Settings.trashDays))
}
