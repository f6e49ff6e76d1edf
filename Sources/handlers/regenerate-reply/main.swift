import Common

struct Regenerated: Decodable {
    /// NULL where there is no such message of the caller's.
    let role: String?
    let status: String?
    /// The message that is answered.
    let question: String?
    /// NULL where nothing was made.
    let reply: ID?
    /// The time as JSON.
    let at: String?
    let siblings: String?
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")

    let made: Regenerated?
    do {
        made = try database.row(
            Regenerated.self,
            """
            with caller as (\(caller.live)), old as (
                select m.user_id, m.chatroom_id, m.role, m.status, m.branch, coalesce(m.variant_of, m.id) as original
                from caller join \(Message.found(id, in: room))
            ), question as (
                select q.json from old o cross join lateral (
                    select \(Message.json) as json from messages m
                    where m.user_id = o.user_id and m.chatroom_id = o.chatroom_id and \(Message.isOn("o.branch"))
                        and m.id < o.original and m.role = 'user'
                    order by m.id desc limit 1
                ) q
            ), new as (
                select o.user_id, o.chatroom_id, o.original, f.*
                from old o join question on true cross join lateral fork(o.user_id, o.chatroom_id, o.original) f
                where o.role = 'model' and o.status not in ('queued', 'running')
            ), reply as (
                insert into messages (user_id, chatroom_id, id, role, content, status, created_at, branch, variant_of)
                select user_id, chatroom_id, first, 'model', '', 'queued', at, made, original from new
            ), job as (
                insert into jobs (user_id, lane, id, kind) select user_id, chatroom_id, first, 'reply' from new
            )
            select o.role, o.status, n.first as reply, to_json(n.at) as at, n.siblings, q.json as question,
                message_arrives(n.user_id, n.chatroom_id)
            from caller left join old o on true left join question q on true left join new n on true
            """)
    } catch DatabaseError.refused(_, "messages_chatroom", _) {
        throw Problem.notFound
    }
    guard let made else { throw Problem.sessionEnded }
    guard let role = made.role, let status = made.status else { throw Problem.notFound }
    guard role == "model" else { throw Message.notAReply }
    if ["queued", "running"].contains(status) {
        throw Problem(409, "reply_unfinished", "This reply is not finished; cancel it, or wait for its end.")
    }
    guard let question = made.question else {
        throw Problem(409, "question_gone", "What this answers is older than messages are kept; ask it again.")
    }
    guard let reply = made.reply, let at = made.at, let siblings = made.siblings else {
        throw Problem.notFound
    }
    Doorbell.bell.ring()
    let json = Message.queuedReply(reply, in: room, at: at, siblings: siblings)
    return .json(
        "{\"message\":\(question),\"reply\":\(json)}", status: 202,
        headers: [("Location", "/chatroom/\(room)/message/\(reply)")])
}
