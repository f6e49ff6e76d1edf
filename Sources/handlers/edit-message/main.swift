import Common

struct NewMessage: Decodable { let content: Content }

struct Edited: Decodable {
    /// NULL where there is no such message of the caller's.
    let role: String?
    /// NULL where nothing was made.
    let question: ID?
    let reply: ID?
    /// The time of both, as JSON.
    let at: String?
    let siblings: String?
    /// Those of the message that is replaced, as JSON; NULL where it has none.
    let attachments: String?
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")

    let made: Edited?
    do {
        made = try database.row(
            Edited.self,
            """
            with caller as (\(caller.live)), old as (
                select m.user_id, m.chatroom_id, m.role, m.attachments, coalesce(m.variant_of, m.id) as original
                from caller join \(Message.found(id, in: room))
            ), new as (
                select o.user_id, o.chatroom_id, o.original, o.attachments, f.*, uuidv7(f.at + interval '1 microsecond') as reply
                from old o cross join lateral fork(o.user_id, o.chatroom_id, o.original) f where o.role = 'user'
            ), messages as (
                insert into messages (
                    user_id, chatroom_id, id, role, content, status, created_at, completed_at, branch, variant_of, attachments)
                select n.user_id, n.chatroom_id, m.id, m.role, m.content, m.status, n.at, m.completed_at, n.made, m.variant_of,
                    m.attachments
                from new n cross join lateral (
                    values (
                        n.first, 'user'::message_role, \(new.content), 'done'::message_status, n.at, n.original, n.attachments
                    ), (n.reply, 'model', '', 'queued', null, null, null)
                ) m (id, role, content, status, completed_at, variant_of, attachments)
            ), job as (
                insert into jobs (user_id, lane, id, kind) select user_id, chatroom_id, reply, 'reply' from new
            )
            select o.role, n.first as question, n.reply, to_json(n.at) as at, n.siblings,
                case when o.attachments is not null then \(Attachment.list("o.attachments", of: "o.user_id")) end as attachments,
                message_arrives(n.user_id, n.chatroom_id)
            from caller left join old o on true left join new n on true
            """)
    } catch DatabaseError.refused(_, "messages_chatroom", _) {
        throw Problem.notFound
    }
    guard let made else { throw Problem.sessionEnded }
    guard let role = made.role else { throw Problem.notFound }
    guard role == "user" else {
        throw Problem(409, "not_a_question", "This message is a reply; only the user's own can be edited.")
    }
    guard let question = made.question, let reply = made.reply, let at = made.at, let siblings = made.siblings else {
        throw Problem.notFound
    }
    Doorbell.bell.ring()
    let message = Message.question(
        question, in: room, content: new.content.text, at: at, siblings: siblings, attachments: made.attachments)
    return .json(
        "{\"message\":\(message),\"reply\":\(Message.queuedReply(reply, in: room, at: at))}", status: 202,
        headers: [("Location", "/chatroom/\(room)/message/\(reply)")])
}
