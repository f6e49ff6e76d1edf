import Common

struct NewMessage: Decodable {
    let content: Content
    /// Of the attachments of the message that is replaced, those that stay; nil: all.
    let attachments: AttachmentIDs?
}

struct Edited: AsksForReply {
    /// NULL where there is no such message of the caller's.
    let role: String?
    /// NULL where nothing was made.
    let question: ID?
    let reply: ID?
    /// Whether the message that is replaced has all attachments that are to stay.
    let hasThem: Bool?
    /// Their times, as JSON. The reply's is not in what was kept by an older program.
    let at: String?
    let repliedAt: String?
    let siblings: String?
    /// Those that stay, as JSON; NULL where there are none.
    let attachments: String?

    enum CodingKeys: String, CodingKey {
        case role, question, reply, at, siblings, attachments
        case hasThem = "has_them"
        case repliedAt = "replied_at"
    }
}

func edit(_ id: ID, in room: ID, _ new: NewMessage, caller: Caller, once: Once) -> SQL {
    let asking: SQL = """
        select 1 as number, o.user_id, o.chatroom_id, o.original, o.attachments, q.*, message_arrives(o.user_id, o.chatroom_id)
        from old o join users u on u.id = o.user_id cross join lateral (\(Quota.asking)) q
        where o.role = 'user' and o.has_them
        """
    let (attachments, hasThem): (SQL, SQL) =
        new.attachments.map(\.ids).map { ids in
            (
                """
                (
                    select array_agg(x.id order by x.number) from unnest(m.attachments) with ordinality x (id, number)
                    where x.id = any(\(ids)::uuid[])
                )
                """, "\(ids)::uuid[] <@ coalesce(m.attachments, '{}')"
            )
        } ?? ("m.attachments", "true")
    return """
        with caller as (\(caller.live) and \(once.isFirst)), old as (
            select m.user_id, m.chatroom_id, m.role, coalesce(m.variant_of, m.id) as original,
                \(attachments) as attachments, \(hasThem) as has_them
            from caller join \(Message.found(id, in: room))
        ), \(Quota.counted(asking)), new as (
            select a.user_id, a.chatroom_id, a.original, a.attachments, a.day, f.*,
                uuidv7(f.at + interval '1 microsecond') as reply
            from counted a cross join lateral fork(a.user_id, a.chatroom_id, a.original) f
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
            select o.user_id, o.role, o.has_them, n.first as question, n.reply, to_json(n.at)::text as at,
                to_json(n.at + \(Message.replyDelay))::text as replied_at, n.siblings::text as siblings,
                case when o.attachments is not null
                    then \(Attachment.list("o.attachments", of: "o.user_id"))::text end as attachments\(Quota.columns)
            from old o left join counted a on true left join new n on true
        ), kept as (\(once.keep("select user_id, row_to_json(edited) from edited where question is not null")))
        select e.*\(Quota.isAsked()) from caller left join edited e on true
        """
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let once = try request.once(caller, "edit-message", room, id)
    return try once.answer(from: database) {
        let edited = try Quota.admit(caller, in: database) {
            try database.row(Admitted<Edited>.self, edit(id, in: room, new, caller: caller, once: once))
        }
        guard let role = edited.row.role else { throw Problem.notFound }
        guard role == "user" else {
            throw Problem(409, "not_a_question", "This message is a reply; only the user's own can be edited.")
        }
        guard edited.row.hasThem ?? false else {
            throw Problem.invalid("attachments", "must be of the message's own attachments")
        }
        Doorbell.bell.ring()
        return edited
    } as: { edited in
        let (quota, edited) = (edited.quota, edited.row)
        guard let question = edited.question, let reply = edited.reply, let at = edited.at,
            let siblings = edited.siblings
        else { throw Problem.notFound }
        let message = Message.question(
            question, in: room, content: new.content.text, at: at, siblings: siblings, attachments: edited.attachments)
        let json = Message.queuedReply(reply, in: room, at: edited.repliedAt ?? at)
        return .json(
            "{\"message\":\(message),\"reply\":\(json),\"quota\":\(quota.json)}", status: 202,
            headers: [("Location", "/chatroom/\(room)/message/\(reply)")] + quota.headers)
    }
}
