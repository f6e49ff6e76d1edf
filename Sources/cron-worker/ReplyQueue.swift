import Common
import Upstream

/// A reply to be made, as it was claimed.
struct ReplyJob: Decodable {
    let userID: ID
    let chatroomID: ID
    let id: ID
    /// How often it has been claimed, this time included.
    let attempts: Int
    let model: String
    let systemInstruction: String?
    let history: History

    /// The turns that go to Gemini, the oldest first.
    struct History: JSONColumn {
        let turns: [Gemini.Turn]
        init(from decoder: any Decoder) throws {
            // A conversation starts with its user.
            turns = Array(try [Gemini.Turn](from: decoder).drop { $0.role != "user" })
        }
    }

    enum CodingKeys: String, CodingKey {
        case id, attempts, model, history
        case userID = "user_id"
        case chatroomID = "chatroom_id"
        case systemInstruction = "system_instruction"
    }
}

/// What became of a reply.
struct FinishedReply {
    let job: ReplyJob
    let text: String
    let failure: Message.Failure?
    let model: String?
    let finishReason: String?
    let usage: Message.Usage?
}

/// The queue of replies in Postgres, as one worker sees it.
struct ReplyQueue {
    let database: Database
    let worker: ID
    /// Seconds after which another worker may take what this one has not shown to be at work on.
    let lease: Int
    /// Estimated tokens of history that go along with a message.
    let contextTokens: Int

    /// Takes up to `limit` jobs whose turn it is, and what they need to be done.
    ///
    /// A job behind another one of its lane is parked, while the row of the one before it is locked, so that a worker that
    /// is just finishing that one either is seen to have done so or will see the parked job. Where the lock cannot be had
    /// the job is left as it is until the next time.
    func claim(limit: Int) throws -> (jobs: [ReplyJob], parked: Int) {
        struct Row: Decodable {
            let parked: Int
            let job: ReplyJob?
            enum CodingKeys: String, CodingKey { case parked, id }
            init(from decoder: any Decoder) throws {
                let row = try decoder.container(keyedBy: CodingKeys.self)
                parked = try row.decode(Int.self, forKey: .parked)
                // Where nothing was claimed there is one row all the same.
                job = try row.decodeNil(forKey: .id) ? nil : ReplyJob(from: decoder)
            }
        }
        let rows = try database.rows(
            Row.self,
            """
            with candidate as (
                select user_id, lane, id from jobs
                where state = 'ready' and run_at <= now() and kind = 'reply'
                order by run_at, id limit \(limit)::int for update skip locked
            ), judged as materialized (
                select c.*, exists (
                    select from jobs e where e.user_id = c.user_id and e.lane = c.lane and e.id < c.id
                ) as is_behind from candidate c
            ), behind as (
                select b.user_id, b.lane, b.id from judged b
                cross join lateral (
                    select from jobs e where e.user_id = b.user_id and e.lane = b.lane and e.id < b.id
                    order by e.id limit 1 for key share skip locked
                ) locked
                where b.is_behind
            ), parked as (
                update jobs j set state = 'parked' from behind b
                where j.user_id = b.user_id and j.lane = b.lane and j.id = b.id
                returning j.id
            ), claimed as (
                update jobs j
                set state = 'running', attempts = j.attempts + 1, worker = \(worker),
                    leased_until = now() + make_interval(secs => \(lease)::int)
                from judged c
                where not c.is_behind and j.user_id = c.user_id and j.lane = c.lane and j.id = c.id
                returning j.user_id, j.lane, j.id, j.attempts
            ), begun as (
                update messages m set status = 'running' from claimed c
                where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id = c.id and m.status = 'queued'
            )
            select p.parked, c.user_id, c.lane as chatroom_id, c.id, c.attempts,
                coalesce(r.model, \(Settings.model)) as model, r.system_instruction, coalesce(h.history, '[]') as history
            from (select count(*)::int as parked from parked) p
            left join claimed c on true
            left join chatrooms r on r.user_id = c.user_id and r.id = c.lane
            left join lateral (
                select json_agg(json_build_object('role', t.role, 'content', t.content) order by t.id) as history
                from (
                    select n.*, sum(octet_length(n.content) / 4 + 8) over newest as tokens, row_number() over newest as age
                    from (
                        select m.id, m.role, m.content from messages m
                        where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id < c.id and m.status = 'done'
                        order by m.id desc limit 400
                    ) n
                    window newest as (order by n.id desc)
                ) t
                where t.tokens <= \(contextTokens)::int or t.age = 1
            ) h on true
            """)
        return (rows.compactMap(\.job), rows.first?.parked ?? 0)
    }

    /// Stores what came of jobs that are still ours, and lets the next of their lanes go on. One whose lease ran out
    /// belongs to another worker by now: its result is dropped, so that no reply is stored twice.
    func finish(_ replies: [FinishedReply]) throws {
        guard !replies.isEmpty else { return }
        let users = replies.map(\.job.userID)
        let rooms = replies.map(\.job.chatroomID)
        try database.transaction {
            try database.execute(
                """
                with ended as (
                    select * from unnest(
                        \(users)::uuid[], \(rooms)::uuid[], \(replies.map(\.job.id))::uuid[], \(replies.map(\.text))::text[],
                        \(try replies.map { try json($0.failure) })::text[], \(replies.map(\.model))::text[],
                        \(replies.map(\.finishReason))::text[], \(try replies.map { try json($0.usage) })::text[]
                    ) as e (user_id, lane, id, content, error, model, finish_reason, usage)
                ), ours as (
                    delete from jobs j using ended e
                    where j.user_id = e.user_id and j.lane = e.lane and j.id = e.id
                        and j.state = 'running' and j.worker = \(worker)
                    returning j.id
                )
                update messages m
                set content = e.content, status = (case when e.error is null then 'done' else 'failed' end)::message_status,
                    error = e.error::jsonb, model = e.model, finish_reason = e.finish_reason, usage = e.usage::jsonb,
                    completed_at = clock_timestamp()
                from ended e join ours o using (id)
                where m.user_id = e.user_id and m.chatroom_id = e.lane and m.id = e.id
                """)
            // A statement of its own, to see what was parked while the rows above were being deleted.
            try database.execute(
                """
                update jobs j set state = 'ready', run_at = now()
                from unnest(\(users)::uuid[], \(rooms)::uuid[]) as l (user_id, lane)
                cross join lateral (
                    select n.id from jobs n where n.user_id = l.user_id and n.lane = l.lane order by n.id limit 1
                ) next
                where j.user_id = l.user_id and j.lane = l.lane and j.id = next.id and j.state = 'parked'
                """)
        }
        // In a statement of its own, for a commit that notifies waits for all others that do. It is only a hint: who
        // waits looks for itself too.
        try database.execute("select pg_notify('replies', id::text) from unnest(\(replies.map(\.job.id))::uuid[]) id")
    }

    /// Puts jobs back, to be claimed again after so many seconds.
    func postpone(_ jobs: [(job: ReplyJob, seconds: Double)]) throws {
        guard !jobs.isEmpty else { return }
        try database.execute(
            """
            with later as (
                select * from unnest(
                    \(jobs.map(\.job.userID))::uuid[], \(jobs.map(\.job.chatroomID))::uuid[], \(jobs.map(\.job.id))::uuid[],
                    \(jobs.map(\.seconds))::float8[]
                ) as l (user_id, lane, id, seconds)
            ), back as (
                update jobs j
                set state = 'ready', worker = null, leased_until = null, run_at = now() + make_interval(secs => l.seconds)
                from later l
                where j.user_id = l.user_id and j.lane = l.lane and j.id = l.id
                    and j.state = 'running' and j.worker = \(worker)
                returning j.user_id, j.lane, j.id
            )
            update messages m set status = 'queued' from back b
            where m.user_id = b.user_id and m.chatroom_id = b.lane and m.id = b.id and m.status = 'running'
            """)
    }

    /// Gives everything back at once, as if it had not been claimed.
    func release() throws {
        try database.execute(
            """
            update jobs set state = 'ready', worker = null, leased_until = null, attempts = attempts - 1, run_at = now()
            where state = 'running' and worker = \(worker)
            """)
    }

    /// Shows that this worker lives and is at work on the jobs that it has in hand, and frees what dead ones had. Freed too
    /// is what this one claimed without ever hearing of it, because the connection was lost before the answer came.
    func beat(host: String, pid: Int, inHand: [ID]) throws {
        try database.execute(
            """
            with seen as (
                insert into workers (id, host, pid) values (\(worker), \(host), \(pid)::int)
                on conflict (id) do update set seen_at = now()
            ), kept as (
                update jobs set leased_until = now() + make_interval(secs => \(lease)::int)
                where state = 'running' and worker = \(worker) and id = any(\(inHand)::uuid[])
            ), dead as (
                select user_id, lane, id from jobs
                where state = 'running' and case worker
                    when \(worker) then id <> all(\(inHand)::uuid[])
                    else leased_until < now()
                end
                order by leased_until limit 1000 for update skip locked
            )
            update jobs j set state = 'ready', worker = null, leased_until = null, run_at = now() from dead d
            where j.user_id = d.user_id and j.lane = d.lane and j.id = d.id
            """)
    }

    private func json(_ value: (some Encodable)?) throws -> String? {
        try value.map { String(decoding: try JSON.encode($0), as: UTF8.self) }
    }
}
