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
    /// Whether the worker needs to be told: with two replies of the room still to make it comes by itself.
    let rings: Bool?
    let quota: Quota?
    /// What `NewAttachments.listed` gives.
    let attachments: String?
}

/// One statement, so one transaction and one round trip: all of it happens or nothing.
func send(_ new: NewMessage, to room: ID, caller: Caller, once: Once) -> SQL {
    let attachments = new.attachments ?? .none
    return """
        with caller as (\(caller.live) and \(once.isFirst)), room as (
            select r.user_id, r.id, r.branch, q.*, uuidv7(q.at) as question, uuidv7(q.at + interval '1 microsecond') as reply
            from caller join \(Chatroom.found(room)) join users u on u.id = r.user_id
            cross join lateral (\(Quota.check)) q
        ), messages as (
            insert into messages (
                user_id, chatroom_id, id, role, content, status, created_at, completed_at, branch\(attachments.column))
            select r.user_id, r.id, m.id, m.role, m.content, m.status, r.at, m.completed_at, r.branch\(attachments.claimed)
            from room r cross join lateral (
                values (r.question, 'user'::message_role, \(new.content), 'done'::message_status, r.at),
                    (r.reply, 'model', '', 'queued', null)
            ) m (id, role, content, status, completed_at)
            where r.accepted
        ), job as (
            insert into jobs (user_id, lane, id, kind, day) select user_id, id, reply, 'reply', day from room where accepted
        ), reserved as (
            \(Quota.reserve("message", for: "(select user_id, id as chatroom_id, reply, day from room where accepted)"))
        ), sent as (
            select r.user_id, r.id, r.accepted, r.question, r.reply, to_json(r.at)::text as at, to_json(r.quota) as quota,
                not exists (
                    select from jobs j where j.user_id = r.user_id and j.lane = r.id order by j.id desc offset 1 limit 1
                ) as rings\(attachments.listed)
            from room r
        ), kept as (\(once.keep("select user_id, row_to_json(sent) from sent where accepted")))
        select s.question, s.reply, s.at, s.quota, s.rings\(attachments.taken),
            case when s.accepted then message_arrives(s.user_id, s.id) end
        from caller left join sent s on true
        """
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let once = try request.once(caller, "send-message", room)
    return try once.answer(from: database) {
        let sent: Sent?
        do {
            sent = try database.row(Sent.self, send(new, to: room, caller: caller, once: once))
        } catch DatabaseError.refused(_, "messages_chatroom", _) {
            throw Problem.notFound
        } catch DatabaseError.refused(_, let constraint?, _) where NewAttachments.refusals[constraint] != nil {
            throw NewAttachments.refusals[constraint] ?? .internalError
        }
        guard let sent else { throw Problem.sessionEnded }
        try sent.quota?.throwIfRefused()
        if sent.rings == true { Doorbell.bell.ring() }
        return sent
    } as: { sent in
        guard let question = sent.question, let reply = sent.reply, let at = sent.at else {
            throw Problem.notFound
        }
        let message = Message.question(
            question, in: room, content: new.content.text, at: at, attachments: sent.attachments)
        let json = Message.queuedReply(reply, in: room, at: at)
        return .json(
            "{\"message\":\(message),\"reply\":\(json),\"quota\":\(Quota.json(sent.quota))}", status: 202,
            headers: [("Location", "/chatroom/\(room)/message/\(reply)")] + (sent.quota?.headers ?? []))
    }
}
