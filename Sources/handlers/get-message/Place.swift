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
            (
                select count(*) from (
                    select from jobs j
                    where j.user_id = m.user_id and j.lane = m.chatroom_id and j.id < m.id and j.state <> 'running'
                    limit \(limit)
                ) j
            ) as before,
            (
                select count(*) from jobs j
                where j.user_id = m.user_id and j.lane = m.chatroom_id and j.state = 'running'
            ) as running,
            q.rooms, q.is_whole,
            (select count(*) from (select from jobs where state = 'running' limit \(limit)) j) as calls,
            (
                select t.milliseconds / 1000 from chatrooms r
                join model_times t on t.model = coalesce(r.model, \(Settings.model))
                where r.user_id = m.user_id and r.id = m.chatroom_id
            ) as seconds
        from (
            select count(*) < \(limit) as is_whole, count(*) filter (
                where j.number = 1 and j.id < m.id and j.lane <> m.chatroom_id
                    and not exists (select from jobs e where e.user_id = j.user_id and e.lane = j.lane and e.id < j.id)
                    and not exists (
                        select from jobs e where e.user_id = j.user_id and e.lane = j.lane and e.state = 'running')
            ) as rooms
            from (
                select j.*, row_number() over (partition by j.user_id, j.lane order by j.id) as number from (
                    select user_id, lane, id from jobs where state = 'ready' and kind = 'reply'
                    order by user_id, lane, id limit \(limit)
                ) j
            ) j
        ) q
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
