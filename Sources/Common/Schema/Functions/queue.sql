-- Where a queued reply stands. Of a long queue 1,000 jobs are looked at, so that it costs no more.
-- The queue and the jobs that run are searched by a comparison of rows, generation first, as the worker does (ReplyQueue.swift).
-- - before: jobs of its room that have to be done before it and have not begun; running: 1 where one has.
-- - rooms: other rooms with a reply that was asked for earlier and could begin, but that no worker has free hands for.
-- - is_whole: whether that was all of the queue.
-- - calls: replies that are being made.
-- - seconds: what one reply of its room's model took lately; NULL where none did.
create or replace function place_in_queue(m messages, default_model text) returns queue_place language plpgsql stable as $$
declare
    p queue_place;
    waiting bigint;
begin
    select count(*) filter (where j.state = 'waiting' and j.id < m.id), count(*) filter (where j.state = 'running')
    into waiting, p.running
    from open_job_generations g cross join unnest('{running,waiting}'::job_state[]) s (state) cross join lateral (
        select j.state, j.id from jobs j
        where j.generation = g.number and j.state = s.state and j.state <> 'ready'
            and j.user_id = m.user_id and j.lane = m.chatroom_id offset 0
    ) j;
    select waiting + count(*) into p.before from (
        select from open_job_generations g cross join lateral (
            select from jobs j
            where j.generation = g.number and j.state = 'ready' and j.kind = 'reply'
                and j.user_id = m.user_id and j.lane = m.chatroom_id and j.id < m.id
            limit 1000
        ) j limit 1000
    ) j;
    select count(*) < 1000, count(*) filter (
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
    ) into p.is_whole, p.rooms
    from (
        select j.*, row_number() over (partition by j.user_id, j.lane order by j.id) as number from (
            select r.* from open_job_generations g cross join lateral (
                select user_id, lane, id from jobs
                where state = 'ready' and kind = 'reply' and generation >= g.number and generation <= g.number
                order by generation, user_id, lane, id limit 1000
            ) r limit 1000
        ) j
    ) j;
    select count(*) into p.calls from (
        select from open_job_generations g cross join lateral (
            select from jobs
            where state <> 'ready' and (generation, state) >= (g.number, 'running')
                and (generation, state) <= (g.number, 'running')
            limit 1000
        ) j limit 1000
    ) j;
    select t.milliseconds / 1000 into p.seconds
    from chatrooms r join model_times t on t.model = coalesce(r.model, default_model)
    where r.user_id = m.user_id and r.id = m.chatroom_id;
    return p;
end
$$;
