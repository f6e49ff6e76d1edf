import Common

/// What keeps jobs with the worker that claimed them, and frees those of the dead.
extension ReplyQueue {
    /// Gives everything back at once, as if it had not been claimed.
    /// - Parameter begun: replies of which a reader may have seen something: the attempt has a number of its own.
    func release(begun: [Job]) throws {
        try database.execute(
            """
            update jobs j set state = 'ready', worker = null, leased_until = null,
                attempts = j.attempts - (j.id <> all(\(begun.map(\.id))::uuid[]))::int
            from open_job_generations g cross join lateral (
                select user_id, lane, id from jobs
                where generation = g.number and state = 'running' and worker = \(worker) offset 0
            ) o where j.user_id = o.user_id and j.lane = o.lane and j.id = o.id and j.state = 'running' and j.worker = \(worker)
            """)
    }

    /// Which of these jobs are not ours any more: cancelled, or taken over by another worker.
    func lost(of jobs: [Job]) throws -> Set<ID> {
        Set(
            try database.rows(
                ID.self,
                """
                select i.id
                from unnest(\(jobs.map(\.userID))::uuid[], \(jobs.map(\.lane))::uuid[], \(jobs.map(\.id))::uuid[])
                    i (user_id, lane, id)
                where not exists (
                    select from jobs j where j.user_id = i.user_id and j.lane = i.lane and j.id = i.id
                        and j.state = 'running' and j.worker = \(worker)
                )
                """))
    }

    /// Shows that this worker lives and is at work on the jobs that it has in hand, and frees what dead ones had. Freed too
    /// is what this one claimed without ever hearing of it, because the connection was lost before the answer came.
    ///
    /// Rows are updated where they were found and locked: a join by their keys would read an index whole, dead jobs and all, where
    /// Postgres counts few jobs. One that somebody changes at that moment is left to the next time.
    /// - Parameter ended: how many replies it has stored so far.
    func beat(host: String, pid: Int, inHand: [Job], ended: Tally) throws {
        try database.execute(
            """
            with seen as (
                insert into workers (id, host, pid, replies_done, replies_failed)
                values (\(worker), \(host), \(pid)::int, \(ended.done), \(ended.failed))
                on conflict (id) do update set seen_at = now(),
                    replies_done = excluded.replies_done, replies_failed = excluded.replies_failed
            ), kept as (
                update jobs set leased_until = now() + make_interval(secs => \(lease)::int)
                where ctid = any(array(
                    select j.ctid from unnest(
                        \(inHand.map(\.userID))::uuid[], \(inHand.map(\.lane))::uuid[], \(inHand.map(\.id))::uuid[]
                    ) i (user_id, lane, id) cross join lateral (
                        select ctid from jobs where user_id = i.user_id and lane = i.lane and id = i.id
                            and state = 'running' and worker = \(worker) for update
                    ) j
                ))
            ), dead as (
                select d.* from open_job_generations g cross join lateral (
                    select ctid from jobs
                    where state <> 'ready' and (generation, state) >= (g.number, 'running')
                        and (generation, state) <= (g.number, 'running') and case worker
                        when \(worker) then id <> all(\(inHand.map(\.id))::uuid[])
                        else leased_until < now()
                    end
                    limit 1000 for update skip locked
                ) d
            )
            update jobs set state = 'ready', worker = null, leased_until = null
            where ctid = any(array(select ctid from dead))
            """)
    }
}
