import Common

/// The queue of replies in Postgres, as one worker sees it.
struct ReplyQueue {
    let database: Database
    let worker: ID
    /// Seconds after which another worker may take what this one has not shown to be at work on.
    let lease: Int
    /// Tokens of a conversation that go along with its last message, by model.
    let budget: ContextBudget

    /// Takes up to `limit` jobs whose turn it is, and what they need to be done.
    ///
    /// Users take turns: it goes on with those after `user`, and each of them gets an equal share of `limit`. Lanes and users
    /// are found by skipping from one to the next in an index, so a queue of a million takes no longer than one of ten. What is
    /// skipped has to be alive: so only open generations of jobs are searched (`turn_job_generations`), each by itself, for from one to
    /// the next in all of them would be over the dead of one for each that lives in another. The next user is looked for by a
    /// comparison of rows, generation first, which the primary key cannot serve: it holds the dead of all generations, and Postgres,
    /// which counts few jobs, would use it.
    /// Two workers that take two jobs of one lane at the same moment are told apart by `jobs_one_running`.
    /// - Parameter permits: how many calls all workers may have under way together; nil for no limit.
    func claim(limit: Int, after user: ID, permits: Int?) throws -> [ReplyJob] {
        guard let permits else { return try claim(limit: limit, after: user) }
        return try database.transaction {
            // One at a time, so that what is counted stays so until the claim is committed.
            try database.execute("select pg_advisory_xact_lock(claims_lock())")
            let running =
                try database.row(
                    Int.self,
                    """
                    select count(*) from open_job_generations g cross join lateral (
                        select from jobs
                        where state <> 'ready' and (generation, state) >= (g.number, 'running')
                            and (generation, state) <= (g.number, 'running') and kind not in ('otp', 'stripe') offset 0
                    ) j
                    """) ?? 0
            return running < permits ? try claim(limit: min(limit, permits - running), after: user) : []
        }
    }

    private static let lastUser: SQL = "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"

    private func claim(limit: Int, after user: ID) throws -> [ReplyJob] {
        try database.rows(
            ReplyJob.self,
            """
            with generation as materialized (select number from open_job_generations
            ), owners as materialized (
                select distinct o.user_id from generation g cross join lateral (
                    with recursive owner as (
                        (select user_id from jobs
                        where state = 'ready' and kind = 'reply' and (generation, user_id) > (g.number, \(user)::uuid)
                            and (generation, user_id) <= (g.number, \(ReplyQueue.lastUser))
                        order by generation, user_id limit 1)
                        union all
                        select n.user_id from owner o cross join lateral (
                            select user_id from jobs
                            where state = 'ready' and kind = 'reply' and (generation, user_id) > (g.number, o.user_id)
                                and (generation, user_id) <= (g.number, \(ReplyQueue.lastUser))
                            order by generation, user_id limit 1
                        ) n
                    )
                    select user_id from owner limit \(limit)::int
                ) o order by o.user_id limit \(limit)::int
            ), share as materialized (select greatest(1, \(limit)::int / count(*)) as lanes from owners
            ), candidate as (
                select c.* from owners o cross join lateral (
                    select distinct on (h.lane) o.user_id, h.lane, h.id from generation g cross join lateral (
                        with recursive head as (
                            (select lane, id from jobs
                            where generation = g.number and user_id = o.user_id and state = 'ready' and kind = 'reply'
                            order by lane, id limit 1)
                            union all
                            select n.lane, n.id from head h cross join lateral (
                                select lane, id from jobs
                                where generation = g.number and user_id = o.user_id and state = 'ready' and kind = 'reply'
                                    and lane > h.lane
                                order by lane, id limit 1
                            ) n
                        )
                        select h.lane, h.id from head h
                        where not exists (
                            select from generation g cross join unnest('{running,waiting}'::job_state[]) s (state)
                            cross join lateral (
                                select from jobs b
                                where b.generation = g.number and b.state = s.state and b.state <> 'ready'
                                    and b.user_id = o.user_id and b.lane = h.lane and (b.state = 'running' or b.id < h.id)
                                limit 1
                            ) b
                        )
                        limit (select lanes from share)
                    ) h order by h.lane, h.id limit (select lanes from share)
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
                    leased_until = now() + make_interval(secs => \(lease)::int), started_at = coalesce(j.started_at, now())
                from free f where j.user_id = f.user_id and j.lane = f.lane and j.id = f.id
                returning j.user_id, j.lane, j.id, j.attempts, j.started_at
            ), begun as (
                update messages m set status = 'running', attempt = m.attempt + 1 from claimed c
                where m.user_id = c.user_id and m.chatroom_id = c.lane and m.id = c.id and m.status in ('queued', 'running')
                returning m.id, m.branch, m.content
            )
            select c.user_id, c.lane, c.id, c.attempts, extract(epoch from now() - c.started_at) as waited, p.tier, p.model,
                r.system_instruction, coalesce(r.title, '') = '' as is_untitled, coalesce(b.branch, 0) as branch,
                coalesce(b.content, '') as begun, h.conversation
            from claimed c
            left join begun b using (id)
            left join chatrooms r on r.user_id = c.user_id and r.id = c.lane
            left join users u on u.id = c.user_id
            cross join lateral (select tier(u) as tier, \(Plan.model("r.model")) as model offset 0) p
            cross join lateral (\(Conversation.json(budget: conversationBudget))) h
            """)
    }

    /// What a reply that continues another leaves of its budget to the conversation before it.
    private var conversationBudget: SQL {
        "greatest(0, \(budget.of("p.model", tier: "p.tier")) - coalesce(octet_length(b.content) / 4, 0))"
    }

    /// Lets those go on whose time to wait is over.
    func wake() throws {
        try database.execute(
            """
            update jobs j set state = 'ready' from (
                select w.* from open_job_generations g cross join lateral (
                    select user_id, lane, id from jobs where generation = g.number and state = 'waiting' and run_at <= now()
                    order by run_at limit 1000 for update skip locked
                ) w
            ) w where j.user_id = w.user_id and j.lane = w.lane and j.id = w.id
            """)
    }

    /// Stores what came of jobs that are still ours. A reply that failed has the longest text of all its attempts; where that is
    /// not of the last one, it gets a number of its own, so that a reader who has had another text forgets it.
    /// One whose lease ran out belongs to another worker by now: its result is
    /// dropped, so that no reply is stored twice.
    func finish(_ replies: [FinishedReply]) throws {
        guard !replies.isEmpty else { return }
        try database.execute(
            """
            with ended as (
                select * from unnest(
                    \(replies.map(\.job.userID))::uuid[], \(replies.map(\.job.lane))::uuid[],
                    \(replies.map(\.job.id))::uuid[], \(replies.map(\.text))::text[],
                    \(try replies.map { try json($0.failure) })::text[], \(replies.map(\.stream.modelVersion))::text[],
                    \(replies.map(\.stream.finishReason))::text[], \(try replies.map { try json($0.stream.usage) })::text[],
                    \(replies.map(\.textTokens))::int[], \(try replies.map { try json($0.reply.provenance) })::text[],
                    \(replies.map(\.keepsPartialText))::bool[]
                ) as e (user_id, lane, id, content, error, model, finish_reason, usage, tokens, provenance, keeps_partial)
            ), ours as (
                delete from jobs j using ended e
                where j.user_id = e.user_id and j.lane = e.lane and j.id = e.id
                    and j.state = 'running' and j.worker = \(worker)
                returning e.*, j.day, j.partial
            ), unneeded as (
                delete from deltas d using ours o where d.user_id = o.user_id and d.message_id = o.id
            ), \(Receipts.of("ours"))
            update messages m
            set content = t.text, status = (case when e.error is null then 'done' else 'failed' end)::message_status,
                error = e.error::jsonb, model = e.model, finish_reason = e.finish_reason, usage = e.usage::jsonb,
                tokens = e.tokens, provenance = e.provenance::jsonb, completed_at = clock_timestamp(),
                attempt = m.attempt + (e.keeps_partial and t.text <> e.content)::int
            from ours e cross join lateral (
                select case when e.keeps_partial then longest_partial(e.user_id, e.id, array[e.content, e.partial])
                    else e.content end as text
            ) t
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

    /// Text of a reply as it comes.
    struct Delta {
        let job: Job
        /// Where it starts, in bytes of UTF-8.
        let start: Int
        let text: String
    }

    /// Keeps what has come of replies that are still ours. Their jobs are locked, so that whoever ends one and then deletes its
    /// text misses none of it.
    /// - Parameter anew: replies whose text is given from its start, because it is not known what Postgres has of it.
    func write(_ deltas: [Delta], anew: [Job]) throws {
        if !anew.isEmpty {
            try database.execute(
                """
                delete from deltas d using unnest(\(anew.map(\.userID))::uuid[], \(anew.map(\.id))::uuid[]) a (user_id, id)
                where d.user_id = a.user_id and d.message_id = a.id
                """)
        }
        try database.execute(
            """
            insert into deltas (user_id, message_id, attempt, start, text)
            select d.user_id, d.id, j.attempts, d.start, d.text
            from unnest(
                \(deltas.map(\.job.userID))::uuid[], \(deltas.map(\.job.lane))::uuid[], \(deltas.map(\.job.id))::uuid[],
                \(deltas.map(\.start))::int[], \(deltas.map(\.text))::text[]
            ) d (user_id, lane, id, start, text)
            join jobs j on j.user_id = d.user_id and j.lane = d.lane and j.id = d.id
                and j.state = 'running' and j.worker = \(worker)
            for key share of j
            """)
        try announce(deltas.map(\.job.id))
    }

    /// A job to be put back.
    struct Postponed {
        let job: Job
        let seconds: Double
        /// Whether this attempt counts.
        let counts: Bool
        /// What this attempt had of a reply.
        let partialText: String
    }

    /// Puts jobs back, to be claimed again after so many seconds. Readers of a reply have no more of it until there is new text; the
    /// longest so far is kept with the job. An attempt that counts ends the time for which the job has waited.
    func postpone(_ jobs: [Postponed]) throws {
        guard !jobs.isEmpty else { return }
        try database.execute(
            """
            with later as (
                select * from unnest(
                    \(jobs.map(\.job.userID))::uuid[], \(jobs.map(\.job.lane))::uuid[], \(jobs.map(\.job.id))::uuid[],
                    \(jobs.map(\.seconds))::float8[], \(jobs.map(\.counts))::bool[], \(jobs.map(\.partialText))::text[]
                ) as l (user_id, lane, id, seconds, counts, partial)
            ), back as (
                update jobs j
                set state = 'waiting', worker = null, leased_until = null, run_at = now() + make_interval(secs => l.seconds),
                    attempts = j.attempts - (not l.counts)::int,
                    started_at = case when not l.counts then j.started_at end,
                    partial = case when l.partial <> '' or exists (
                        select from deltas d where d.user_id = l.user_id and d.message_id = l.id
                    ) then longest_partial(l.user_id, l.id, array[j.partial, l.partial]) else j.partial end
                from later l
                where j.user_id = l.user_id and j.lane = l.lane and j.id = l.id
                    and j.state = 'running' and j.worker = \(worker)
                returning j.user_id, j.lane, j.id
            ), forgotten as (
                delete from deltas d using back b where d.user_id = b.user_id and d.message_id = b.id
            )
            update messages m set status = 'queued' from back b
            where m.user_id = b.user_id and m.chatroom_id = b.lane and m.id = b.id and m.status = 'running'
            """)
        try announce(jobs.map(\.job.id))
    }

    /// Deletes jobs that are still ours.
    func delete(_ jobs: [Job]) throws {
        guard !jobs.isEmpty else { return }
        try database.execute(
            """
            delete from jobs j
            using unnest(\(jobs.map(\.userID))::uuid[], \(jobs.map(\.lane))::uuid[], \(jobs.map(\.id))::uuid[])
                d (user_id, lane, id)
            where j.user_id = d.user_id and j.lane = d.lane and j.id = d.id and j.state = 'running' and j.worker = \(worker)
            """)
    }

    /// Tells how long replies took, by model and in milliseconds: an average that forgets an older one within some ten beats.
    func record(times: [String: Double]) throws {
        guard !times.isEmpty else { return }
        let models = Array(times.keys)
        try database.execute(
            """
            insert into model_times as t (model, milliseconds)
            select * from unnest(\(models)::text[], \(models.map { times[$0] ?? 0 })::float8[])
            on conflict (model) do update
            set milliseconds = t.milliseconds * 0.8 + excluded.milliseconds * 0.2, updated_at = now()
            """)
    }

    func json(_ value: (some Encodable)?) throws -> String? {
        try value.map { String(decoding: try JSON.encode($0), as: UTF8.self) }
    }
}
