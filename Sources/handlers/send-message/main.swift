import Common

struct NewMessage: Decodable {
    let content: Content
    let attachments: NewAttachments?
}

struct Sent: Decodable {
    /// NULL where there is no such room of the caller's.
    let question: ID?
    let reply: ID?
    /// The time of both, as JSON.
    let at: String?
    /// What `NewAttachments.listed` gives.
    let attachments: String?
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let attachments = new.attachments ?? .none

    // One statement, so one transaction and one round trip: all of it happens or nothing.
    let sent: Sent?
    do {
        sent = try database.row(
            Sent.self,
            """
            with caller as (\(caller.live)), room as (
                select r.user_id, r.id, r.branch, t.at,
                    uuidv7(t.at) as question, uuidv7(t.at + interval '1 microsecond') as reply
                from caller join \(Chatroom.found(room))
                cross join (select clock_timestamp() as at offset 0) t
            ), messages as (
                insert into messages (
                    user_id, chatroom_id, id, role, content, status, created_at, completed_at, branch\(attachments.column))
                select r.user_id, r.id, m.id, m.role, m.content, m.status, r.at, m.completed_at, r.branch\(attachments.claimed)
                from room r cross join lateral (
                    values (r.question, 'user'::message_role, \(new.content), 'done'::message_status, r.at),
                        (r.reply, 'model', '', 'queued', null)
                ) m (id, role, content, status, completed_at)
            ), job as (
                insert into jobs (user_id, lane, id, kind) select user_id, id, reply, 'reply' from room
            )
            select r.question, r.reply, to_json(r.at) as at, message_arrives(r.user_id, r.id)\(attachments.listed)
            from caller left join room r on true
            """)
    } catch DatabaseError.refused(_, "messages_chatroom", _) {
        throw Problem.notFound
    } catch DatabaseError.refused(_, let constraint?, _) where NewAttachments.refusals[constraint] != nil {
        throw NewAttachments.refusals[constraint] ?? .internalError
    }
    guard let sent else { throw Problem.sessionEnded }
    guard let question = sent.question, let reply = sent.reply, let at = sent.at else { throw Problem.notFound }
    Doorbell.bell.ring()
    let message = Message.question(
        question, in: room, content: new.content.text, at: at, attachments: sent.attachments)
    return .json(
        "{\"message\":\(message),\"reply\":\(Message.queuedReply(reply, in: room, at: at))}", status: 202,
        headers: [("Location", "/chatroom/\(room)/message/\(reply)")])
}
