import Common

struct NewMessage: Decodable {
    let content: Content
    let attachments: NewAttachments?
}

struct Sent: AsksForReply {
    /// NULL where there is no such room of the caller's.
    let question: ID?
    let reply: ID?
    /// Their times, as JSON. The reply's is not in what was kept by an older program.
    let at: String?
    let repliedAt: String?
    /// What `NewAttachments.listed` gives.
    let attachments: String?

    enum CodingKeys: String, CodingKey {
        case question, reply, at, attachments
        case repliedAt = "replied_at"
    }
}

/// One statement, so one transaction and one round trip: all of it happens or nothing. It does so for several messages at once.
func send(_ new: NewMessage, to room: ID, caller: Caller, once: Once) -> SQL {
    let attachments = new.attachments ?? .none
    // For each message in its turn, with a time and entropy of its own: offset 0 keeps Postgres from doing it in another order, or
    // once for all.
    let asking: SQL = """
        select n.*, q.*, message_arrives(n.user_id, n.chatroom_id),
            uuidv7(q.at, 0, e.entropy) as question, uuidv7(q.at, 1, e.entropy) as reply
        from caller n cross join lateral (
            select r.branch, q.* from chatrooms r join users u on u.id = r.user_id cross join lateral (\(Quota.asking)) q
            where r.user_id = n.user_id and r.id = n.chatroom_id and r.deleted_at is null offset 0
        ) q
        cross join lateral (select right(gen_random_uuid()::text, 17) as entropy where n.number > 0 offset 0) e
        """
    return """
        with caller as (
            select n.number, c.user_id, n.chatroom_id, n.content
            from unnest(
                \(each: caller.user)::uuid[], \(each: caller.session)::uuid[], \(each: caller.tokenTime)::bigint[],
                \(each: room)::uuid[], \(each: new.content)::text[]
            ) with ordinality as n (user_id, session_id, token_time, chatroom_id, content, number)
            cross join lateral (
                select s.user_id from sessions s
                where s.user_id = n.user_id and s.id = n.session_id and \(Caller.isLive)
                    and \(Caller.usesSession(since: "n.token_time")) offset 0
            ) c
            where \(once.isFirstOfEach)
        ), \(Quota.counted(asking)), messages as (
            insert into messages (
                user_id, chatroom_id, id, role, content, status, created_at, completed_at, branch\(attachments.column))
            select a.user_id, a.chatroom_id, m.id, m.role, m.content, m.status, a.at, m.completed_at,
                a.branch\(attachments.claimed)
            from counted a cross join lateral (
                values (a.question, 'user'::message_role, a.content, 'done'::message_status, a.at),
                    (a.reply, 'model', '', 'queued', null)
            ) m (id, role, content, status, completed_at)
        ), job as (
            insert into jobs (user_id, lane, id, kind, day) select user_id, chatroom_id, reply, 'reply', day from counted
        ), reserved as (
            \(Quota.reserve("message"))
        ), sent as (
            select a.user_id, a.number as nth, a.question, a.reply,
                to_json(a.at)::text as at, to_json(a.at + \(Message.replyDelay))::text as replied_at\(Quota.columns)\(attachments.listed)
            from counted a
        ), kept as (\(once.keepEach("select user_id, row_to_json(sent), nth from sent")))
        select n.number, s.*\(Quota.isAsked("n.number")) from caller n left join sent s on s.nth = n.number
        """
}

serve { request in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let once = try request.once(caller, "send-message", room)
    let statement = send(new, to: room, caller: caller, once: once)

    func answer(_ database: Database) throws -> Response {
        try once.answer(from: database) {
            do {
                let sent = try Quota.admit(caller, in: database) { try database.row(Admitted<Sent>.self, statement) }
                if sent.row.reply != nil { Doorbell.bell.ring() }
                return sent
            } catch DatabaseError.refused(_, let constraint?, _) where NewAttachments.refusals[constraint] != nil {
                throw NewAttachments.refusals[constraint] ?? .internalError
            }
        } as: { sent in
            let (quota, sent) = (sent.quota, sent.row)
            guard let question = sent.question, let reply = sent.reply, let at = sent.at else {
                throw Problem.notFound
            }
            let message = Message.question(
                question, in: room, content: new.content.text, at: at, attachments: sent.attachments)
            let json = Message.queuedReply(reply, in: room, at: sent.repliedAt ?? at)
            return .json(
                "{\"message\":\(message),\"reply\":\(json),\"quota\":\(quota.json)}", status: 202,
                headers: [("Location", "/chatroom/\(room)/message/\(reply)")] + quota.headers)
        }
    }

    // Two messages that claim the same files, in different orders, would wait for each other.
    if new.attachments != nil { return Query(alone: answer) }
    return Query(statement, locking: caller.user, once: once, answer: answer)
}
