import Common
import Upstream

/// What is done for a room when no reply waits to be made: its title, and summaries of what no longer fits its context.
struct Chore: Decodable {
    let job: Job
    let kind: String
    let chatroomID: ID
    let model: String
    /// What it is about, as `User: …` and `Assistant: …`.
    let transcript: String?
    /// Of a summary: the one that it goes on from, and the last message that it covers.
    let earlier: String?
    let upto: ID?

    enum CodingKeys: String, CodingKey {
        case kind, model, transcript, earlier, upto
        case chatroomID = "chatroom_id"
    }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        job = try Job(from: decoder)
        kind = try row.decode(String.self, forKey: .kind)
        chatroomID = try row.decode(ID.self, forKey: .chatroomID)
        model = try row.decode(String.self, forKey: .model)
        transcript = try row.decodeIfPresent(String.self, forKey: .transcript)
        earlier = try row.decodeIfPresent(String.self, forKey: .earlier)
        upto = try row.decodeIfPresent(ID.self, forKey: .upto)
    }

    /// What Gemini is told to do.
    var instruction: String {
        kind == "title"
            ? """
            Give this conversation a title of at most six words, in its own language. Answer with the title alone, without \
            quotation marks.
            """
            : """
            Sum up this conversation for an assistant that goes on with it and can no longer see it: what the user wants, \
            facts, names, numbers, decisions, open questions. At most 400 words, in the language of the conversation. Answer \
            with the summary alone.
            """
    }

    /// What Gemini is shown; nil where there is nothing left to do.
    var prompt: String? {
        transcript.map { transcript in
            earlier.map { "A summary of what came before:\n\n\($0)\n\n\(transcript)" } ?? transcript
        }
    }

    /// A title out of the model's answer: its first line, without what titles are put in; nil where nothing is left.
    static func title(_ answer: String) -> String? {
        // By scalars: a character may be of any length, and to compare long ones takes the square of it.
        let isNewline: (Unicode.Scalar) -> Bool = { "\n\u{B}\u{C}\r\u{85}\u{2028}\u{2029}".unicodeScalars.contains($0) }
        let isWrapping: (Unicode.Scalar) -> Bool = {
            $0.properties.isWhitespace || "\"'“”„«»`*#".unicodeScalars.contains($0)
        }
        let line = answer.unicodeScalars.split(whereSeparator: isNewline).first ?? Substring().unicodeScalars
        let bare = line.drop(while: isWrapping).reversed().drop { isWrapping($0) || $0 == "." }.reversed()
        let title = String(String.UnicodeScalarView(bare.prefix(100)))
        return title.isEmpty ? nil : title
    }
}

/// The queue of chores in Postgres.
struct Chores {
    let queue: ReplyQueue
    private let model = Settings.text("CHORE_MODEL", default: Settings.model)
    private let titles = Settings.choice("TITLES", ["on", "off"]) == "on"
    private let summaries = Settings.choice("SUMMARIES", ["on", "off"]) == "on"

    private var database: Database { queue.database }

    init(queue: ReplyQueue) { self.queue = queue }

    /// Queues what the rooms of finished replies need, where they are still there. There is at most one chore of a kind for a
    /// room.
    func queue(after replies: [FinishedReply]) throws {
        let done = replies.filter { $0.failure == nil }
        let untitled = done.filter { titles && $0.reply.isUntitled }
        let outgrown = done.filter { summaries && $0.reply.conversation.outgrown != nil }
        guard !untitled.isEmpty || !outgrown.isEmpty else { return }
        let all = untitled.map { ("title", $0) } + outgrown.map { ("summary", $0) }
        try database.execute(
            """
            insert into jobs (user_id, lane, id, kind, payload)
            select c.user_id, k.lane, k.lane, c.kind::job_kind,
                jsonb_build_object('chatroom_id', c.room, 'branch', c.branch, 'upto', c.upto)
            from unnest(
                \(all.map { $0.0 })::text[], \(all.map { $0.1.job.userID })::uuid[], \(all.map { $0.1.job.lane })::uuid[],
                \(all.map { $0.1.reply.branch })::int[], \(all.map { $0.1.reply.conversation.outgrown })::uuid[]
            ) c (kind, user_id, room, branch, upto)
            cross join lateral (select md5(c.kind || c.room)::uuid as lane) k
            join chatrooms r on r.user_id = c.user_id and r.id = c.room and r.deleted_at is null
            for key share of r
            on conflict do nothing
            """)
    }

    /// Takes up to `limit` of them.
    func claim(limit: Int) throws -> [Chore] {
        try database.rows(
            Chore.self,
            """
            with free as (
                select f.* from open_job_generations g cross join unnest('{title,summary}'::job_kind[]) k (kind)
                cross join lateral (
                    select user_id, lane, id, run_at from jobs
                    where generation = g.number and state = 'ready' and kind <> 'reply' and kind = k.kind
                    order by run_at limit \(limit)::int for update skip locked
                ) f order by f.run_at limit \(limit)::int
            ), claimed as (
                update jobs j
                set state = 'running', attempts = j.attempts + 1, worker = \(queue.worker),
                    leased_until = now() + make_interval(secs => \(queue.lease)::int), started_at = coalesce(j.started_at, now())
                from free f where j.user_id = f.user_id and j.lane = f.lane and j.id = f.id
                returning j.*, (j.payload ->> 'chatroom_id')::uuid as room
            )
            select c.user_id, c.lane, c.id, c.attempts, extract(epoch from now() - c.started_at) as waited, c.kind,
                c.room as chatroom_id, \(model) as model, s.earlier, said.transcript, said.upto
            from claimed c
            cross join lateral (select (c.payload ->> 'branch')::int as branch) b
            left join lateral (
                select s.content as earlier, s.upto from summaries s
                join messages m on m.user_id = s.user_id and m.chatroom_id = s.chatroom_id and m.id = s.upto
                where c.kind = 'summary' and s.user_id = c.user_id and s.chatroom_id = c.room and \(Message.isOn("b.branch"))
                order by s.upto desc limit 1
            ) s on true
            cross join lateral (
                select string_agg(
                    case t.role when 'user' then 'User: ' else 'Assistant: ' end || t.content, E'\\n\\n' order by t.id
                ) as transcript, (array_agg(t.id order by t.id desc) filter (where t.role = 'model'))[1] as upto
                from (
                    select n.*, sum(n.tokens) over (order by n.id) as sum, row_number() over (order by n.id) as number from (
                        select m.id, m.role, \(Conversation.textEstimate) as tokens,
                            case c.kind when 'title' then left(m.content, 2000) else m.content end as content
                        from (
                            select m.*, \(Message.isUnanswered) as is_unanswered from (
                                select * from messages m
                                where m.user_id = c.user_id and m.chatroom_id = c.room
                                    and m.id > coalesce(s.upto, '00000000-0000-0000-0000-000000000000')
                                    and m.id <= coalesce(
                                        (c.payload ->> 'upto')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                                    and \(Message.isOn("b.branch"))
                                order by m.id limit 1000
                            ) m
                        ) m
                        where \(Message.isSaid) and not m.is_unanswered
                        order by m.id limit case c.kind when 'title' then 2 end
                    ) n
                ) t
                where t.sum <= \(queue.budget.of("\(model)")) or t.number <= 2
            ) said
            """)
    }

    /// Stores what came of them.
    func finish(_ chores: [(chore: Chore, text: String, stream: GeminiStream)]) throws {
        for (chore, text, stream) in chores {
            let ours: SQL = """
                delete from jobs where user_id = \(chore.job.userID) and lane = \(chore.job.lane) and id = \(chore.job.id)
                    and state = 'running' and worker = \(queue.worker) returning user_id
                """
            if chore.kind == "title" {
                try database.execute(
                    """
                    with ours as (\(ours)), titled as (
                        update chatrooms r set title = \(Chore.title(text)) from ours o
                        where r.user_id = o.user_id and r.id = \(chore.chatroomID) and coalesce(r.title, '') = ''
                        returning r.user_id
                    )
                    select forget_chatroom_list(user_id) from titled
                    """)
            } else {
                try database.execute(
                    """
                    with ours as (\(ours))
                    insert into summaries (user_id, chatroom_id, upto, content, tokens, model, usage)
                    select user_id, \(chore.chatroomID), \(chore.upto), \(text), \(stream.textTokens ?? text.utf8.count / 4)::int,
                        \(stream.modelVersion), \(try queue.json(stream.usage))::jsonb
                    from ours
                    on conflict do nothing
                    """)
            }
        }
    }

    /// Gives them up: the next reply of the room asks for them again.
    func drop(_ chores: [Chore]) throws {
        try queue.delete(chores.map(\.job))
    }
}
