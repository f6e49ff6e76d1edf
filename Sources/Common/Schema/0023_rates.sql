-- How fast a user sends requests of a kind. Each puts `free_at` off by its share of a minute; as long as it lies less than a
-- minute ahead there is room for another. Lost in a crash, and nothing is lost with it.
create unlogged table request_rates (
    user_id uuid not null references users on delete cascade,
    kind text not null,
    free_at timestamptz not null,
    primary key (user_id, kind)
) with (fillfactor = 50);

-- Counts a request of the caller's, unless it is one too many: then nothing changes and it is false. How it stands goes to the
-- handler as a notice, `kind per_minute remaining seconds`, in either case: it is of the statement and not of its rows, and, unlike
-- an error, it neither undoes anything nor fills the log of Postgres.
create function may_request(owner uuid, of_kind text, per_minute int) returns boolean language plpgsql as $$
declare
    step interval := interval '1 minute' / per_minute;
    at timestamptz := clock_timestamp();
    ahead interval;
begin
    insert into request_rates as r (user_id, kind, free_at) values (owner, of_kind, at + step)
    on conflict (user_id, kind) do update set free_at = greatest(r.free_at, at) + step
        where r.free_at <= at + interval '1 minute' - step
    returning r.free_at - at into ahead;
    if ahead is null then
        ahead := (select r.free_at - at + step - interval '1 minute' from request_rates r
            where r.user_id = owner and r.kind = of_kind);
        raise notice using errcode = 'RL001', message = format('%s %s 0 %s', of_kind, per_minute, greatest(1,
            ceil(extract(epoch from ahead))::int));
        return false;
    end if;
    raise notice using errcode = 'RL000', message = format('%s %s %s %s', of_kind, per_minute,
        floor(extract(epoch from interval '1 minute' - ahead) / extract(epoch from step))::int,
        ceil(extract(epoch from ahead))::int);
    return true;
end
$$;
