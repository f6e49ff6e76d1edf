import Common

/// Where a queued reply stands. Columns of the message `m`, all NULL for any other.
enum Place {
    /// How many of the queue are looked at, so that a long one costs no more.
    private static let limit: SQL = "1000"

    /// - `before`: jobs of its room that have to be done before it and have not begun; `running`: 1 where one has.
    /// - `rooms`: other rooms with a reply that was asked for earlier and could begin, but that no worker has free hands for.
    /// - `is_whole`: whether that was all of the queue.
    /// - `calls`: replies that are being made.
    /// - `seconds`: what one reply of its room's model took lately; NULL where none did.
    static func columns(_ isWanted: Bool) -> SQL {
        """
        select
            b.waiting + (
                select count(*) from (
                    select from open_job_generations g cross join lateral (
                        select from jobs j
                        where j.generation = g.number and j.state = 'ready' and j.kind = 'reply'
                            and j.user_id = m.user_id and j.lane = m.chatroom_id and j.id < m.id
                        limit \(limit)
                    ) j limit \(limit)
                ) j
            ) as before,
            b.running, q.rooms, q.is_whole,
            (
                select count(*) from (
                    select from open_job_generations g cross join lateral (
                        select from jobs
                        where state <> 'ready' and (generation, state) >= (g.number, 'running')
                            and (generation, state) <= (g.number, 'running')
                        limit \(limit)
                    ) j limit \(limit)
                ) j
            ) as calls,
            (
                select t.milliseconds / 1000 from chatrooms r
                join model_times t on t.model = coalesce(r.model, \(Settings.model))
                where r.user_id = m.user_id and r.id = m.chatroom_id
            ) as seconds
        from (
            select count(*) < \(limit) as is_whole, count(*) filter (
                where j.number = 1 and j.id < m.id and j.lane <> m.chatroom_id
                    and not exists (
                        select from open_job_generations g cross join unnest('{running,waiting}'::job_state[]) s (state)
                        cross join lateral (
                            select from jobs b
                            where b.generation = g.number and b.state = s.state and b.state <> 'ready'
                                and b.user_id = j.user_id and b.lane = j.lane and (b.state = 'running' or b.id < j.id)
                            limit 1
                        ) b
                    )
            ) as rooms
            from (
                select j.*, row_number() over (partition by j.user_id, j.lane order by j.id) as number from (
                    select r.* from open_job_generations g cross join lateral (
                        select user_id, lane, id from jobs
                        where state = 'ready' and kind = 'reply' and generation >= g.number and generation <= g.number
                        order by generation, user_id, lane, id limit \(limit)
                    ) r limit \(limit)
                ) j
            ) j
        ) q, (
            select count(*) filter (where j.state = 'waiting' and j.id < m.id) as waiting,
                count(*) filter (where j.state = 'running') as running
            from open_job_generations g cross join unnest('{running,waiting}'::job_state[]) s (state) cross join lateral (
                select j.state, j.id from jobs j
                where j.generation = g.number and j.state = s.state and j.state <> 'ready'
                    and j.user_id = m.user_id and j.lane = m.chatroom_id offset 0
            ) j
        ) b
        where m.status = 'queued' and \(isWanted)::bool offset 0
        """
    }

    /// 1 for the next to begin, 0 for one that has.
    static let position: SQL = "case m.status when 'running' then 0 else 1 + p.before + p.rooms end"

    /// Seconds until the reply is there: its own time, that of those before it in its room, and its share of the time in which
    /// those who are at work get through the rooms before it. NULL where that cannot be told.
    static let seconds: SQL = """
        case when p.is_whole then ceil(p.seconds * (
            1 + p.before + p.running + case p.rooms when 0 then 0 else p.rooms::float8 / nullif(p.calls, 0) end
        ))::int end
        """
}
