import Common

struct Cancelled: Decodable {
    /// NULL where there is no such message of the caller's.
    let role: String?
    let json: String
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let message = try database.row(
        Cancelled.self,
        """
        with caller as (\(caller.live))
        select m.role, \(Message.json) as json
        from caller left join \(Chatroom.found(room))
        left join lateral cancel_reply(r.user_id, r.id, \(id)) m on true
        """)
    guard let message else { throw Problem.sessionEnded }
    guard let role = message.role else { throw Problem.notFound }
    guard role == "model" else { throw Message.notAReply }
    // The room's next reply may begin.
    Doorbell.bell.ring()
    return .json(message.json)
}
