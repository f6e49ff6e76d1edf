-- A change of the time zone, or a new account for the number of a deleted one, begins no new day.

-- The day that a user was in when they changed their zone, when it ended there, and from when on it is another day in their zone now.
alter table users
    add usage_day date,
    add usage_day_end timestamptz,
    add usage_day_until timestamptz;

-- Of `reserved`: what a deleted account of the same number had used.
alter table usage_days add carried int not null default 0;

-- The first midnight in a zone at or after `ended` that begins a later date than `day`, so that no date gives its messages twice.
create function next_usage_day(ended timestamptz, day date, zone text) returns timestamptz language sql stable as $$
    select min(n.midnight) from (
        select d.date::timestamp at time zone zone as midnight, d.date
        from generate_series(0, 3) g cross join lateral (select (ended at time zone zone)::date + g as date) d
    ) n
    where n.midnight >= ended and n.date > day
$$;

-- The user's day at a time, and when it ends in the zone in which it began.
create function usage_day(u users, at timestamptz, out day date, out ends_at timestamptz) language sql stable as $$
    select case when u.usage_day_until > at then u.usage_day else n.day end,
        case when u.usage_day_until > at then u.usage_day_end else (n.day + 1)::timestamp at time zone u.timezone end
    from (select (at at time zone u.timezone)::date as day) n
$$;

-- Moves a user to another zone. If anything was counted in their day, it goes on until the next midnight in the new zone; for a week
-- after such a move, until the first one that is not before the end of the day in the zone in which it began. So a day is cut short once
-- a week at most, however often the zone changes.
create function change_timezone(owner uuid, zone text) returns void language plpgsql as $$
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
