import Common

struct Deleted: Decodable {
    /// NULL where there is no such room of the caller's.
    let done: Bool?
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let deleted = try database.row(
        Deleted.self,
        """
        with caller as (\(caller.live) and \(RateLimit.rooms.allows))
        select trash_chatroom(r.user_id, r.id) as done from caller left join \(Chatroom.found(room))
        """)
    guard let deleted else { throw Problem.sessionEnded }
    guard deleted.done == true else { throw Problem.notFound }
    // What the worker does for it ends, and others may have its turn.
    Doorbell.bell.ring()
    return Response(status: 204)
}
