import Common

struct NewMessage: Decodable { let content: Content }

struct Sent: Decodable {
    /// NULL where there is no such room of the caller's.
    let replyID: ID?
    let message: String?
    let reply: String?

    enum CodingKeys: String, CodingKey {
        case message, reply
        case replyID = "reply_id"
    }
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")

    // One statement, so one transaction and one round trip: all of it happens or nothing.
    let sent = try database.row(
        Sent.self,
        """
        with caller as (\(caller.live)), room as (
            select r.user_id, r.id, clock_timestamp() as at
            from caller join chatrooms r on r.user_id = caller.user_id and r.id = \(room)
        ), asked as (
            insert into messages as m (user_id, chatroom_id, id, role, content, status, created_at, completed_at)
            select user_id, id, uuidv7(at), 'user', \(new.content), 'done', at, at from room
            returning \(Message.json) as json
        ), reply as (
            insert into messages as m (user_id, chatroom_id, id, role, content, status, created_at)
            select user_id, id, uuidv7(at + interval '1 microsecond'), 'model', '', 'queued', at from room
            returning user_id, chatroom_id, id, \(Message.json) as json
        ), job as (
            insert into jobs (user_id, lane, id, kind) select user_id, chatroom_id, id, 'reply' from reply
        )
        select reply.id as reply_id, asked.json as message, reply.json as reply, forget_chatroom_list(reply.user_id)
        from caller left join asked on true left join reply on true
        """)
    guard let sent else { throw Problem.sessionEnded }
    guard let id = sent.replyID, let message = sent.message, let reply = sent.reply else { throw Problem.notFound }
    Doorbell.bell.ring()
    return .json(
        "{\"message\":\(message),\"reply\":\(reply)}", status: 202,
        headers: [("Location", "/chatroom/\(room)/message/\(id)")])
}
