import Common

struct NewMessage: Decodable { let content: Content }

struct Accepted: Encodable {
    let message: Message
    let reply: Message
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")

    // One statement, so one transaction and one round trip: all of it happens or nothing.
    let messages = try database.found(
        Message.self,
        """
        with caller as (\(caller.live)), room as (
            select r.user_id, r.id, clock_timestamp() as at
            from caller join chatrooms r on r.user_id = caller.user_id and r.id = \(room)
        ), asked as (
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at, completed_at)
            select user_id, id, uuidv7(at), 'user', \(new.content), 'done', at, at from room
            returning *
        ), reply as (
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at)
            select user_id, id, uuidv7(at + interval '1 microsecond'), 'model', '', 'queued', at from room
            returning *
        ), job as (
            insert into jobs (user_id, lane, id, kind) select user_id, chatroom_id, id, 'reply' from reply
        ), listed as (\(Chatroom.bumpList(of: "select user_id from room")))
        select \(Message.columns) from caller
        left join (select * from asked union all select * from reply) m on true
        order by m.id
        """)
    guard messages.count == 2 else { throw Problem.notFound }
    Doorbell.bell.ring()
    return try .json(
        Accepted(message: messages[0], reply: messages[1]), status: 202,
        headers: [("Location", "/chatroom/\(room)/message/\(messages[1].id)")])
}
