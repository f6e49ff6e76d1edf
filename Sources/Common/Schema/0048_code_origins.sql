-- Codes are limited for each origin first and for the number second, and a device that the owner has used has some of its own.

-- Who asked for each of `sent`: an address, or 'device' where a known one used its own. NULL: nobody knows, so that it counts for all.
alter table otp_sends add origins text[] not null default '{}';
-- The address that asked for a code, and how many tries came from elsewhere.
alter table otps add asked_from text, add elsewhere int not null default 0;

-- From when on the limits of a number let somebody ask for a code: `open_at` as anybody, `device_at` as a known device.
create function code_limits(
    sent timestamptz[], origins text[], kept timestamptz[], origin text, out open_at timestamptz, out device_at timestamptz
) language sql stable as $$
    select greatest(
            '-infinity', mine[5] + interval '10 minutes', mine[10] + interval '1 day',
            others[7] + interval '10 minutes', others[12] + interval '1 day'),
        coalesce(devices[3] + interval '1 day', '-infinity')
    from (
        select array_agg(at order by at desc) filter (where o is null or o = origin) as mine,
            array_agg(at order by at desc) filter (where o is distinct from 'device') as others,
            array_agg(at order by at desc) filter (where o = 'device') as devices
        from (
            select s.at, s.o from unnest(sent, origins) s (at, o) where s.at is not null
            union all
            select k, null from unnest(kept) k
        ) a
    ) b
$$;

-- Counts a code that is to be sent, unless a limit is in the way: then `refusal` says which, and nothing is counted. In either case
-- `wait` has the seconds until another may be sent.
--
-- A number gets 5 codes in ten minutes and 10 a day for one address, 7 and 12 for all of them, and 3 a day more for known devices. A
-- number that an account was deleted from has what it got before under one of the keys `kept`.
--
-- Rows are locked in this order until the caller's commit, so that requests at once are judged one after the other: number, address,
-- day.
create function count_code(
    mobile text, kept text[], address inet, agent text, resend int, per_address int, per_day int,
    out refusal text, out wait int
) language plpgsql as $$
declare
    number text := 'mobile:' || mobile;
    place text := case when per_address > 0 then login_address_key(address) end;
    origin text := coalesce(login_address_key(address), 'nowhere');
    is_known bool := is_known_device(mobile, address, agent);
    of_number timestamptz[];
    asked_by text[];
    of_kept timestamptz[];
    of_place timestamptz[];
    of_day int;
    limits record;
    limited_at timestamptz;
    spaced_at timestamptz;
    at timestamptz;
begin
    insert into otp_sends as s (key, sent) values (number, '{}')
    on conflict (key) do update set sent = s.sent returning sent, origins into of_number, asked_by;
    if place is not null then
        insert into otp_sends as s (key, sent) values (place, '{}')
        on conflict (key) do update set sent = s.sent returning sent into of_place;
    end if;
    if per_day > 0 then
        insert into otp_days as d (day, sent) values ((now() at time zone 'UTC')::date, 0)
        on conflict (day) do update set sent = d.sent returning sent into of_day;
    end if;
    of_kept := array(select t from otp_sends k cross join unnest(k.sent) t where k.key = any(kept) order by t desc);
    at := clock_timestamp(); -- after the wait for those before
    if of_day >= per_day then
        refusal := 'otp_budget';
        wait := ceil(extract(epoch from ((now() at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC' - at));
        return;
    end if;
    limits := code_limits(of_number, asked_by, of_kept, origin);
    limited_at := greatest(
        case when is_known then least(limits.open_at, limits.device_at) else limits.open_at end,
        of_place[per_address] + interval '1 hour');
    spaced_at := greatest(of_number[1], of_kept[1]) + make_interval(secs => resend);
    if limited_at > at then
        refusal := 'otp_limit';
    elsif spaced_at > at then
        refusal := 'otp_too_soon';
    else
        of_number := (at || of_number)[1:15];
        asked_by := (case when limits.open_at > at then 'device' else origin end || asked_by)[1:15];
        update otp_sends set sent = of_number, origins = asked_by where key = number;
        if place is not null then
            of_place := (at || of_place)[1:per_address];
            update otp_sends set sent = of_place where key = place;
        end if;
        update otp_days set sent = sent + 1 where per_day > 0 and day = (now() at time zone 'UTC')::date;
        limits := code_limits(of_number, asked_by, of_kept, origin);
        limited_at := greatest(
            case when is_known then least(limits.open_at, limits.device_at) else limits.open_at end,
            of_place[per_address] + interval '1 hour');
        spaced_at := at + make_interval(secs => resend);
    end if;
    wait := greatest(0, ceil(extract(epoch from greatest(limited_at, spaced_at, at) - at)));
end
$$;

-- Counts a sign-up for an address (0 `per_hour`: no limit). Gives the seconds to wait where it is one too many, or 0.
create function count_sign_up(address inet, per_hour int) returns int language plpgsql as $$
declare
    place text := 'sign-up:' || login_address_key(address);
    of_place timestamptz[];
    at timestamptz;
begin
    if per_hour = 0 or place is null then return 0; end if;
    insert into otp_sends as s (key, sent) values (place, '{}')
    on conflict (key) do update set sent = s.sent returning sent into of_place;
    at := clock_timestamp();
    if of_place[per_hour] + interval '1 hour' > at then
        return ceil(extract(epoch from of_place[per_hour] + interval '1 hour' - at));
    end if;
    update otp_sends set sent = (at || of_place)[1:per_hour] where key = place;
    return 0;
end
$$;
