import Common

serve { request, database in
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let once = try request.once("regenerate-reply", room, id)
    let turn: Turn = try database.call("regenerate_reply", try request.caller(), once, room, id, Quota.limits)
    Doorbell.bell.ring()
    return try turn.accepted(in: room)
}
