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
    /// Users take turns: it goes on with those after `user`, and each of them gets an equal share of `limit`. Lanes and users
    /// are found by skipping from one to the next in an index, so a queue of a million takes no longer than one of ten.
    /// Two workers that take two jobs of one lane at the same moment are told apart by `jobs_one_running`.
    func claim(limit: Int, after user: ID) throws -> [ReplyJob] {
        try database.rows(
            ReplyJob.self,
            """
            with recursive owner as (
                (select user_id from jobs
                where state = 'ready' and kind = 'reply' and user_id > \(user) order by user_id limit 1)
                union all
                select n.user_id from owner o cross join lateral (
                    select user_id from jobs
                    where state = 'ready' and kind = 'reply' and user_id > o.user_id order by user_id limit 1
                ) n
            ), owners as materialized (select user_id from owner limit \(limit)::int
            ), candidate as (
                select c.user_id, c.lane, c.id from owners o cross join lateral (
                    with recursive head as (
                        (select lane, id from jobs
                        where user_id = o.user_id and state = 'ready' and kind = 'reply' order by lane, id limit 1)
                        union all
                        select n.lane, n.id from head h cross join lateral (
                            select lane, id from jobs
                            where user_id = o.user_id and state = 'ready' and kind = 'reply' and lane > h.lane
                            order by lane, id limit 1
                        ) n
                    )
                    select o.user_id, h.lane, h.id from head h
                    where not exists (select from jobs e where e.user_id = o.user_id and e.lane = h.lane and e.id < h.id)
                        and not exists (
                            select from jobs e where e.user_id = o.user_id and e.lane = h.lane and e.state = 'running')
                    limit (select greatest(1, \(limit)::int / count(*)) from owners)
                ) c limit \(limit)::int
            ), free as (
                select j.* from candidate c cross join lateral (
                    select j.user_id, j.lane, j.id from jobs j
                    where j.user_id = c.user_id and j.lane = c.lane and j.id = c.id and j.state = 'ready'
                    for update skip locked
                ) j
            ), claimed as (
                update jobs j
                set state = 'running', attempts = j.attempts + 1, worker = \(worker),
                    leased_until = now() + make_interval(secs => \(lease)::int)
                from free f where j.user_id = f.user_id and j.lane = f.lane and j.id = f.id
                returning j.user_id, j.lane, j.id, j.attempts
            ), begun as (
                update messages m set status = 'running' from claimed c
                where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id = c.id and m.status in ('queued', 'running')
                returning m.id, m.branch
            )
            select c.user_id, c.lane as chatroom_id, c.id, c.attempts,
                coalesce(r.model, \(Settings.model)) as model, r.system_instruction, coalesce(h.history, '[]') as history
            from claimed c
            left join begun b using (id)
            left join chatrooms r on r.user_id = c.user_id and r.id = c.lane
            left join lateral (
                select json_agg(json_build_object('role', t.role, 'content', t.content) order by t.id) as history
                from (
                    select n.*, sum(octet_length(n.content) / 4 + 8) over newest as tokens, row_number() over newest as age
                    from (
                        select m.id, m.role, m.content from messages m
                        where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id < c.id and m.status = 'done'
                            and \(Message.isOn("b.branch"))
                        order by m.id desc limit 400
                    ) n
                    window newest as (order by n.id desc)
                ) t
                where t.tokens <= \(contextTokens)::int or t.age = 1
            ) h on true
            """)
    }

    /// Lets those go on whose time to wait is over.
    func wake() throws {
        try database.execute(
            """
            update jobs j set state = 'ready' from (
                select user_id, lane, id from jobs where state = 'waiting' and run_at <= now()
                order by run_at limit 1000 for update skip locked
            ) w where j.user_id = w.user_id and j.lane = w.lane and j.id = w.id
            """)
    }

    /// Stores what came of jobs that are still ours. One whose lease ran out belongs to another worker by now: its result is
    /// dropped, so that no reply is stored twice.
    func finish(_ replies: [FinishedReply]) throws {
        guard !replies.isEmpty else { return }
        try database.execute(
            """
            with ended as (
                select * from unnest(
                    \(replies.map(\.job.userID))::uuid[], \(replies.map(\.job.chatroomID))::uuid[],
                    \(replies.map(\.job.id))::uuid[], \(replies.map(\.text))::text[],
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
        try announce(replies.map(\.job.id))
    }

    /// Tells whoever waits for these replies that there is something new, many to a notification, whose payload may have 8,000
    /// bytes. In a statement of its own, for a commit that notifies waits for all others that do. It is only a hint: who
    /// waits looks for itself too.
    private func announce(_ replies: [ID]) throws {
        try database.execute(
            """
            select pg_notify('replies', string_agg(id::text, ' '))
            from unnest(\(replies)::uuid[]) with ordinality as r (id, number) group by number / 200
            """)
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
                set state = 'waiting', worker = null, leased_until = null, run_at = now() + make_interval(secs => l.seconds)
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
