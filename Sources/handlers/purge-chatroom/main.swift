import Common

struct Purged: Decodable {
    /// NULL where there is no such room in the caller's trash.
    let done: Bool?
}

serve { request, _ in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    // A long conversation takes its time, as in delete-me.
    let purged = try Database(timeout: 35_000).row(
        Purged.self,
        """
        with caller as (\(caller.live) and \(RateLimit.rooms.allows))
        select case when r.id is not null then purge_chatroom(r.user_id, r.id) end as done
        from caller left join chatrooms r on r.user_id = caller.user_id and r.id = \(room) and \(Chatroom.isInTrash)
        """)
    guard let purged else { throw Problem.sessionEnded }
    guard purged.done == true else { throw Problem.notFound }
    return Response(status: 204)
}
