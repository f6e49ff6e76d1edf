-- The first midnight in a zone at or after `ended` that begins a later date than `day`, so that no date gives its messages twice.
create or replace function next_usage_day(ended timestamptz, day date, zone text) returns timestamptz language sql stable as $$
    select min(n.midnight) from (
        select d.date::timestamp at time zone zone as midnight, d.date
        from generate_series(0, 3) g cross join lateral (select (ended at time zone zone)::date + g as date) d
    ) n
    where n.midnight >= ended and n.date > day
$$;

-- The user's day at a time, and when it ends in the zone in which it began.
create or replace function usage_day(u users, at timestamptz, out day date, out ends_at timestamptz) language sql stable as $$
    select day_of(u, at), case when u.usage_day_until > at then u.usage_day_end else day_end(u, at) end
$$;

-- Moves a user to another zone. If anything was counted in their day, it goes on until the next midnight in the new zone; for a week
-- after such a move, until the first one that is not before the end of the day in the zone in which it began. So a day is cut short once
-- a week at most, however often the zone changes.
create or replace function change_timezone(owner uuid, zone text) returns void language plpgsql as $$
declare
    u users;
    at timestamptz;
    today record;
begin
    select * into u from users where id = owner for update;
    if u.timezone = zone then return; end if;
    at := clock_timestamp();
    today := usage_day(u, at);
    if exists (select from usage_days d where d.user_id = owner and d.day = today.day) then
        update users set timezone = zone, usage_day = today.day, usage_day_end = today.ends_at,
            usage_day_until = next_usage_day(
                case when u.usage_day_until > at - interval '7 days' then today.ends_at else at end, today.day, zone)
        where id = owner;
    else
        -- An unknown zone is refused here too.
        update users set timezone = case when at at time zone zone is null then timezone else zone end,
            usage_day = null, usage_day_end = null, usage_day_until = null
        where id = owner;
    end if;
end
$$;

-- Gives an account what a deleted one of its number, kept under one of these keys, used of the day that has not ended yet.
create or replace function resume_usage(owner uuid, keys text[]) returns void strict language plpgsql as $$
declare
    k kept_usage;
    until timestamptz;
begin
    with gone as (delete from kept_usage where key = any(keys) returning *)
    select * into k from gone order by ends_at desc limit 1;
    if not found then return; end if;
    until := (select next_usage_day(k.ends_at, k.day, u.timezone) from users u where u.id = owner);
    if until <= clock_timestamp() then return; end if;
    update users set usage_day = k.day, usage_day_end = k.ends_at, usage_day_until = until where id = owner;
    insert into usage_days as d (user_id, day, reserved, carried, free_at) values (owner, k.day, k.used, k.used, k.free_at)
    on conflict (user_id, day) do update set
        reserved = d.reserved + excluded.reserved, carried = d.carried + excluded.carried,
        free_at = greatest(d.free_at, excluded.free_at);
end
$$;
