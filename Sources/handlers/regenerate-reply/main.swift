import Common

struct Regenerated: Decodable {
    /// NULL where there is no such message of the caller's.
    let role: String?
    let status: String?
    /// The message that is answered; NULL where it is gone.
    let question: String?
    /// NULL where nothing was made.
    let reply: ID?
    /// The time as JSON.
    let at: String?
    let siblings: String?
    let quota: Quota?
}

func regenerate(_ id: ID, in room: ID, caller: Caller, once: Once) -> SQL {
    """
    with caller as (\(caller.live) and \(once.isFirst)), old as (
        select m.user_id, m.chatroom_id, m.role, m.status, m.branch, coalesce(m.variant_of, m.id) as original
        from caller join \(Message.found(id, in: room))
    ), question as (
        select q.json from old o cross join lateral (
            select \(Message.json)::text as json from messages m
            where m.user_id = o.user_id and m.chatroom_id = o.chatroom_id and \(Message.isOn("o.branch"))
                and m.id < o.original and m.role = 'user'
            order by m.id desc limit 1
        ) q
    ), checked as (
        select o.user_id, o.chatroom_id, o.original, q.quota, q.day, q.accepted
        from old o join question on true join users u on u.id = o.user_id cross join lateral (\(Quota.check)) q
        where o.role = 'model' and o.status not in ('queued', 'running')
    ), new as (
        select c.user_id, c.chatroom_id, c.original, c.day, f.*, f.first as reply
        from checked c cross join lateral fork(c.user_id, c.chatroom_id, c.original) f where c.accepted
    ), written as (
        insert into messages (user_id, chatroom_id, id, role, content, status, created_at, branch, variant_of)
        select user_id, chatroom_id, reply, 'model', '', 'queued', at, made, original from new
    ), job as (
        insert into jobs (user_id, lane, id, kind, day) select user_id, chatroom_id, reply, 'reply', day from new
    ), reserved as (
        \(Quota.reserve("regenerate", for: "new"))
    ), regenerated as (
        select o.user_id, o.role, o.status, q.json as question, n.reply, to_json(n.at)::text as at,
            n.siblings::text as siblings, to_json(c.quota) as quota, n.chatroom_id
        from old o left join question q on true left join checked c on true left join new n on true
    ), kept as (\(once.keep("select user_id, row_to_json(regenerated) from regenerated where reply is not null")))
    select r.*, message_arrives(r.user_id, r.chatroom_id) from caller left join regenerated r on true
    """
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let once = try request.once(caller, "regenerate-reply", room, id)
    return try once.answer(from: database) {
        let made: Regenerated?
        do {
            made = try database.row(Regenerated.self, regenerate(id, in: room, caller: caller, once: once))
        } catch DatabaseError.refused(_, "messages_chatroom", _) {
            throw Problem.notFound
        }
        guard let made else { throw Problem.sessionEnded }
        guard let role = made.role, let status = made.status else { throw Problem.notFound }
        guard role == "model" else { throw Message.notAReply }
        if ["queued", "running"].contains(status) {
            throw Problem(409, "reply_unfinished", "This reply is not finished; cancel it, or wait for its end.")
        }
        guard made.question != nil else {
            throw Problem(409, "question_gone", "What this answers is older than messages are kept; ask it again.")
        }
        try made.quota?.throwIfRefused()
        Doorbell.bell.ring()
        return made
    } as: { made in
        guard let question = made.question, let reply = made.reply, let at = made.at, let siblings = made.siblings
        else {
            throw Problem.notFound
        }
        let json = Message.queuedReply(reply, in: room, at: at, siblings: siblings)
        return .json(
            "{\"message\":\(question),\"reply\":\(json),\"quota\":\(Quota.json(made.quota))}", status: 202,
            headers: [("Location", "/chatroom/\(room)/message/\(reply)")] + (made.quota?.headers ?? []))
    }
}
