-- The transactions that may have inserted jobs and have not ended.
create or replace function job_writers() returns text[] language sql volatile as $$
    select coalesce(array_agg(distinct virtualtransaction), '{}') from pg_locks
    where locktype = 'relation' and relation = 'jobs'::regclass
        and database = (select oid from pg_database where datname = current_database())
        and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        and pid is distinct from pg_backend_pid()
$$;

-- Whether a generation holds a job.
create or replace function holds_jobs(generation int) returns boolean language plpgsql volatile as $$
begin
    return exists (select from jobs j where j.generation = $1 and j.state = 'ready' and j.kind = 'reply')
        or exists (select from jobs j where j.generation = $1 and j.state = 'ready' and j.kind <> 'reply')
        or exists (select from jobs j where j.generation = $1 and j.state <> 'ready');
end
$$;

-- Moves at most so many jobs to another generation; how many there were. A job that somebody has locked is left where it is.
create or replace function move_jobs(of_generation int, to_generation int, most int) returns int language plpgsql as $$
declare
    count int;
    moved int := 0;
begin
    update jobs j set generation = to_generation from (
        select user_id, lane, id from jobs where generation = of_generation and state = 'ready' and kind = 'reply'
        order by user_id, lane, id limit most for update skip locked
    ) o where j.user_id = o.user_id and j.lane = o.lane and j.id = o.id;
    get diagnostics moved = row_count;
    update jobs j set generation = to_generation from (
        select user_id, lane, id from jobs where generation = of_generation and state = 'ready' and kind <> 'reply'
        order by kind, run_at limit most - moved for update skip locked
    ) o where j.user_id = o.user_id and j.lane = o.lane and j.id = o.id;
    get diagnostics count = row_count;
    moved := moved + count;
    update jobs j set generation = to_generation from (
        select user_id, lane, id from jobs where generation = of_generation and state <> 'ready'
        order by state, user_id, lane, id limit most - moved for update skip locked
    ) o where j.user_id = o.user_id and j.lane = o.lane and j.id = o.id;
    get diagnostics count = row_count;
    return moved + count;
end
$$;

-- Opens a generation when there were `churn` changes in the newest one, or more where there are many jobs to be moved; moves at most `most`
-- jobs out of the others; and closes those that are empty. Whether there may be more to do.
--
-- A generation is written down, and that committed, before the sequence hands it out: no job is ever in one that is not known.
create or replace function turn_job_generations(most int, churn int default 2000) returns boolean language plpgsql as $$
declare
    newest int := pg_sequence_last_value('newest_job_generation');
    changes bigint := pg_stat_get_tuples_updated('jobs'::regclass) + pg_stat_get_tuples_deleted('jobs'::regclass);
    last job_generations;
    old job_generations;
    moved int := 0;
    writing text[];
begin
    if not pg_try_advisory_xact_lock(generations_lock()) then return false; end if;
    -- The sequence of a restored dump may be ahead of its table.
    insert into job_generations (number, changes) values (newest, changes) on conflict do nothing;
    select * into last from job_generations g where g.number >= newest order by g.number desc limit 1;
    if last.number > newest then
        newest := last.number;
        perform setval('newest_job_generation', newest);
    elsif changes < last.changes
        or changes - last.changes >= greatest(churn, 2 * pg_stat_get_live_tuples('jobs'::regclass))
    then
        insert into job_generations (number, changes) values (newest + 1, changes);
        return true;
    end if;
    writing := job_writers();
    for old in
        select * from job_generations g
        where g.number >= (select pg_sequence_last_value('oldest_job_generation')) and g.number < newest order by g.number
    loop
        continue when old.is_left and old.writers && writing;
        moved := moved + move_jobs(old.number, newest, most - moved);
        exit when moved >= most;
        if old.writers is null then
            update job_generations g set writers = writing where g.number = old.number;
        elsif not holds_jobs(old.number) then
            if old.writers && writing then
                update job_generations g set is_left = true where g.number = old.number;
            else
                delete from job_generations g where g.number = old.number;
            end if;
        end if;
    end loop;
    perform setval('oldest_job_generation', (
        select min(g.number) from job_generations g
        where g.number >= (select pg_sequence_last_value('oldest_job_generation'))));
    return moved >= most;
end
$$;
