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
    let quota: Quota?
    /// Those of the message that is replaced, as JSON; NULL where it has none.
    let attachments: String?
}

func edit(_ id: ID, in room: ID, _ new: NewMessage, caller: Caller, once: Once) -> SQL {
    """
    with caller as (\(caller.live) and \(once.isFirst)), old as (
        select m.user_id, m.chatroom_id, m.role, m.attachments, coalesce(m.variant_of, m.id) as original
        from caller join \(Message.found(id, in: room))
    ), checked as (
        select o.user_id, o.chatroom_id, o.original, o.attachments, q.quota, q.day, q.accepted
        from old o join users u on u.id = o.user_id cross join lateral (\(Quota.check)) q where o.role = 'user'
    ), new as (
        select c.user_id, c.chatroom_id, c.original, c.attachments, c.day, f.*, uuidv7(f.at + interval '1 microsecond') as reply
        from checked c cross join lateral fork(c.user_id, c.chatroom_id, c.original) f where c.accepted
    ), messages as (
        insert into messages (
            user_id, chatroom_id, id, role, content, status, created_at, completed_at, branch, variant_of, attachments)
        select n.user_id, n.chatroom_id, m.id, m.role, m.content, m.status, n.at, m.completed_at, n.made, m.variant_of,
            m.attachments
        from new n cross join lateral (
            values (n.first, 'user'::message_role, \(new.content), 'done'::message_status, n.at, n.original, n.attachments),
                (n.reply, 'model', '', 'queued', null, null, null)
        ) m (id, role, content, status, completed_at, variant_of, attachments)
    ), job as (
        insert into jobs (user_id, lane, id, kind, day) select user_id, chatroom_id, reply, 'reply', day from new
    ), reserved as (
        \(Quota.reserve("edit", for: "new"))
    ), edited as (
        select o.user_id, o.role, n.first as question, n.reply, to_json(n.at)::text as at, n.siblings::text as siblings,
            to_json(c.quota) as quota, n.chatroom_id, case when o.attachments is not null
                then \(Attachment.list("o.attachments", of: "o.user_id"))::text end as attachments
        from old o left join checked c on true left join new n on true
    ), kept as (\(once.keep("select user_id, row_to_json(edited) from edited where question is not null")))
    select e.*, message_arrives(e.user_id, e.chatroom_id) from caller left join edited e on true
    """
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let once = try request.once(caller, "edit-message", room, id)
    return try once.answer(from: database) {
        let edited: Edited?
        do {
            edited = try database.row(Edited.self, edit(id, in: room, new, caller: caller, once: once))
        } catch DatabaseError.refused(_, "messages_chatroom", _) {
            throw Problem.notFound
        }
        guard let edited else { throw Problem.sessionEnded }
        guard let role = edited.role else { throw Problem.notFound }
        guard role == "user" else {
            throw Problem(409, "not_a_question", "This message is a reply; only the user's own can be edited.")
        }
        try edited.quota?.throwIfRefused()
        Doorbell.bell.ring()
        return edited
    } as: { edited in
        guard let question = edited.question, let reply = edited.reply, let at = edited.at,
            let siblings = edited.siblings
        else { throw Problem.notFound }
        let message = Message.question(
            question, in: room, content: new.content.text, at: at, siblings: siblings, attachments: edited.attachments)
        let json = Message.queuedReply(reply, in: room, at: at)
        return .json(
            "{\"message\":\(message),\"reply\":\(json),\"quota\":\(Quota.json(edited.quota))}", status: 202,
            headers: [("Location", "/chatroom/\(room)/message/\(reply)")] + (edited.quota?.headers ?? []))
    }
}
