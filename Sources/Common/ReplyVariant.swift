/// Another reply in the place of one that is finished, on a branch of its own.
public enum ReplyVariant: String {
    /// Made from nothing.
    case regenerate
    /// Begins with the text of the one that was cut off. It is queued with that text, which is how the worker knows it.
    case `continue`

    private struct Made: AsksForReply {
        /// NULL where there is no such message of the caller's.
        let role: String?
        let status: String?
        let isCutOff: Bool?
        /// What it begins with. Not in what was kept by an older program.
        let content: String?
        /// The message that is answered; NULL where it is gone.
        let question: String?
        /// NULL where nothing was made.
        let reply: ID?
        /// The reply's time as JSON.
        let at: String?
        let siblings: String?

        enum CodingKeys: String, CodingKey {
            case role, status, content, question, reply, at, siblings
            case isCutOff = "is_cut_off"
        }
    }

    private func make(_ id: ID, in room: ID, caller: Caller, once: Once) -> SQL {
        let begun: SQL = self == .continue ? "m.content" : "''"
        let isAllowed: SQL = self == .continue ? "o.is_cut_off" : "true"
        let asking: SQL = """
            select 1 as number, o.user_id, o.chatroom_id, o.original, o.content, q.*, message_arrives(o.user_id, o.chatroom_id)
            from old o join question on true join users u on u.id = o.user_id cross join lateral (\(Quota.asking)) q
            where o.role = 'model' and o.status not in ('queued', 'running') and \(isAllowed)
            """
        return """
            with caller as (\(caller.live) and \(once.isFirst)), old as (
                select m.user_id, m.chatroom_id, m.role, m.status, m.branch, coalesce(m.variant_of, m.id) as original,
                    \(begun) as content, \(Message.isCutOff) as is_cut_off
                from caller join \(Message.found(id, in: room))
            ), question as (
                select q.json from old o cross join lateral (
                    select \(Message.json)::text as json from messages m
                    where m.user_id = o.user_id and m.chatroom_id = o.chatroom_id and \(Message.isOn("o.branch"))
                        and m.id < o.original and m.role = 'user'
                    order by m.id desc limit 1
                ) q
            ), \(Quota.counted(asking)), new as (
                select a.user_id, a.chatroom_id, a.original, a.content, a.day, f.*, f.first as reply
                from counted a cross join lateral fork(a.user_id, a.chatroom_id, a.original) f
            ), written as (
                insert into messages (user_id, chatroom_id, id, role, content, status, created_at, branch, variant_of)
                select user_id, chatroom_id, reply, 'model', content, 'queued', at, made, original from new
            ), job as (
                insert into jobs (user_id, lane, id, kind, day) select user_id, chatroom_id, reply, 'reply', day from new
            ), reserved as (
                \(Quota.reserve(rawValue, for: "new"))
            ), made as (
                select o.user_id, o.role, o.status, o.is_cut_off, o.content, q.json as question, n.reply,
                    to_json(n.at + \(Message.replyDelay))::text as at, n.siblings::text as siblings\(Quota.columns)
                from old o left join question q on true left join counted a on true left join new n on true
            ), kept as (\(once.keep("select user_id, row_to_json(made) from made where reply is not null")))
            select r.*\(Quota.isAsked()) from caller left join made r on true
            """
    }

    /// Makes one of the reply that a request names, and has it written; 409 where that cannot be.
    public func answer(_ request: Request, from database: Database) throws -> Response {
        let caller = try request.caller()
        let room = try request.pathID("CHATROOM_ID")
        let id = try request.pathID("MESSAGE_ID")
        let once = try request.once(caller, "\(rawValue)-reply", room, id)
        return try once.answer(from: database) {
            let made = try Quota.admit(caller, in: database) {
                try database.row(Admitted<Made>.self, make(id, in: room, caller: caller, once: once))
            }
            guard let role = made.row.role, let status = made.row.status else { throw Problem.notFound }
            guard role == "model" else { throw Message.notAReply }
            if ["queued", "running"].contains(status) {
                throw Problem(409, "reply_unfinished", "This reply is not finished; cancel it, or wait for its end.")
            }
            if self == .continue, made.row.isCutOff != true {
                throw Problem(409, "not_cut_off", "This reply was not cut off; there is nothing to continue.")
            }
            guard made.row.question != nil else {
                throw Problem(409, "question_gone", "What this answers is older than messages are kept; ask it again.")
            }
            Doorbell.bell.ring()
            return made
        } as: { made in
            let (quota, made) = (made.quota, made.row)
            guard let question = made.question, let reply = made.reply, let at = made.at, let siblings = made.siblings
            else {
                throw Problem.notFound
            }
            let json = Message.queuedReply(reply, in: room, content: made.content ?? "", at: at, siblings: siblings)
            return .json(
                "{\"message\":\(question),\"reply\":\(json),\"quota\":\(quota.json)}", status: 202,
                headers: [("Location", "/chatroom/\(room)/message/\(reply)")] + quota.headers)
        }
    }
}
