-- Renews a session by the refresh token of a generation. `genuine` says that the token was derived from a key of ours, and
-- `next_hash` is of the token that is to take its place. The verdict:
--   rotated   the token was the current one
--   repeated  it was the one before, within the overlap or until somebody uses what took its place: the caller gets what the first to
--             use it got. After the overlap the access token is made again: `at` is when
--   reused    a genuine one that is older: somebody else has it, and the session is ended
--   ended     the session of a genuine one has ended
--   invalid   anything else; nothing is changed, or whoever knows a session's id could end it
create or replace function refresh_session(
    owner uuid, session uuid, used int, used_hash text, genuine bool, next_hash text, overlap int, lifetime int,
    address inet, agent text, out verdict text, out current_hash text, out at timestamptz
) language plpgsql as $$
declare
    s sessions;
    instant timestamptz;
begin
    select * into s from sessions where user_id = owner and id = session for update;
    instant := clock_timestamp();
    at := s.refreshed_at;
    if s.ended_at is not null or s.expires_at <= instant then
        verdict := case when genuine then 'ended' else 'invalid' end;
    elsif s.generation = used and s.refresh_hash = used_hash then
        verdict := 'rotated';
        at := instant;
        update sessions set
            generation = used + 1, refresh_hash = next_hash, refreshed_at = instant, is_unused = true, last_used_at = instant,
            expires_at = instant + make_interval(secs => lifetime), ip = address, user_agent = left(agent, 500)
        where user_id = owner and id = session returning * into s;
    elsif s.generation = used + 1 and genuine and instant < s.refreshed_at + make_interval(secs => overlap) then
        verdict := 'repeated';
    elsif s.generation = used + 1 and genuine and s.is_unused then
        verdict := 'repeated';
        at := instant;
        update sessions set
            last_used_at = instant, expires_at = instant + make_interval(secs => lifetime), ip = address,
            user_agent = left(agent, 500)
        where user_id = owner and id = session;
    elsif s.generation > used and genuine then
        verdict := 'reused';
        update sessions set ended_at = instant, end_reason = 'refresh_reused' where user_id = owner and id = session;
    else
        verdict := 'invalid';
    end if;
    current_hash := s.refresh_hash;
end
$$;

-- Under which an address is counted: one of IPv6 with the 2^64 that its owner has.
create or replace function login_address_key(address inet) returns text language sql immutable as $$
    select 'address:' || case
        when family(address) = 4 or address << '::ffff:0:0/96' then host(address)
        else network(set_masklen(address, 64))::text
    end
$$;

-- Whether a number's owner has used a session from this address (IPv6: /64) with this user agent lately. Sessions that were ended
-- because somebody else had them don't count.
create or replace function is_known_device(number text, address inet, agent text) returns bool language sql stable as $$
    select exists (
        select from users u join sessions s on s.user_id = u.id
        where u.mobile = number and u.mobile_verified_at is not null and s.last_used_at > now() - interval '90 days'
            and s.user_agent is not distinct from left(agent, 500) and login_address_key(s.ip) = login_address_key(address)
            and s.end_reason is distinct from 'revoked' and s.end_reason is distinct from 'refresh_reused')
$$;

-- How long the next try waits after so many failures more than are free.
create or replace function login_wait(beyond int, first_wait int, longest_wait int) returns interval language sql immutable as $$
    select make_interval(secs => least(longest_wait, first_wait * 2 ^ least(beyond, 20)))
$$;

-- Locks the counts of these keys, in their order, and says from when on they allow a try.
create or replace function lock_failures(keys text[], number text) returns timestamptz language plpgsql as $$
begin
    -- Locks rows that exist, and does not write them.
    insert into login_failures as f (key, mobile, failures, failed_at, until)
    select k, case when k like 'mobile:%' then number end, 0, clock_timestamp(), '-infinity' from unnest(keys) k order by k
    on conflict (key) do update set failures = f.failures where false;
    return (select max(until) from login_failures where key = any(keys));
end
$$;

-- Counts a failure under these keys. One failure is forgotten for each `longest_wait` that passes: `failed_at` is up to when that
-- has been done, and does not move with each try.
create or replace function count_failure(keys text[], tries int[], instant timestamptz, first_wait int, longest_wait int)
returns void language sql as $$
    update login_failures f set failures = c.failures, failed_at = c.failed_at, until = case
            when c.failures < c.tries then '-infinity'
            else instant + login_wait(c.failures - c.tries, first_wait, longest_wait)
        end
    from (
        select l.key, k.tries, (greatest(l.failures - p.passed, 0) + 1)::int as failures, case
                when l.failures <= p.passed then instant else l.failed_at + make_interval(secs => p.passed * longest_wait)
            end as failed_at
        from unnest(keys, tries) k (key, tries) join login_failures l on l.key = k.key
        cross join lateral (select floor(extract(epoch from instant - l.failed_at) / longest_wait) as passed) p
    ) c
    where f.key = c.key
$$;

-- Counts a try to sign in with a password as a failure before it is judged, so that of many at once no more pass than may;
-- confirm_try() takes it back. Where it is too soon, `wait` has the seconds and nothing is counted.
--
-- An origin (a device that the owner has used, or an address) has `number_tries` for the number, and an address `address_tries` for all
-- numbers (0: no limit). Only what they let through reaches the number's own count, which does not decay. Strangers together have
-- four times as many tries before they wait, and ten times as many consecutive failures in all. Known devices don't wait for strangers;
-- with theirs there are twenty times as many: 100 (NIST SP 800-63B, 3.2.2) unless LOGIN_TRIES says more.
--
-- The rows are locked in this order: address, origin, number.
create or replace function reserve_try(
    number text, address inet, agent text, number_tries int, address_tries int, first_wait int, longest_wait int,
    out wait int, out origin text, out address_until timestamptz
) language plpgsql as $$
declare
    place text := case when address_tries > 0 then login_address_key(address) end;
    number_key text := 'mobile:' || number;
    is_known bool := is_known_device(number, address, agent);
    total login_failures;
    opens timestamptz;
    instant timestamptz;
begin
    origin := concat(
        number_key, case when is_known then ' device ' else ' from ' end, login_address_key(address),
        case when is_known then ' ' || md5(coalesce(agent, '')) end);
    opens := lock_failures(array_remove(array[place, origin], null), number);
    if is_known then
        -- Nor does it wait for others at its address.
        opens := (select until from login_failures where key = origin);
    end if;
    instant := clock_timestamp();
    if opens > instant then
        wait := ceil(extract(epoch from opens - instant));
        return;
    end if;

    perform lock_failures(array[number_key], number);
    select * into total from login_failures where key = number_key;
    instant := clock_timestamp(); -- after the wait for the tries before this one
    if total.failed_at < instant - interval '30 days' then
        total.failures := 0;
        total.until := '-infinity';
    end if;
    opens := case
        when not is_known then total.until
        when total.failures >= 20 * number_tries then total.failed_at + interval '30 days'
    end;
    if opens > instant then
        wait := ceil(extract(epoch from opens - instant));
        return;
    end if;

    perform count_failure(
        array_remove(array[place, origin], null),
        case when place is null then array[number_tries] else array[address_tries, number_tries] end,
        instant, first_wait, longest_wait);
    address_until := (select until from login_failures where key = place);
    total.failures := total.failures + 1;
    update login_failures set failures = total.failures, failed_at = instant, until = case
            when total.failures >= 10 * number_tries then instant + interval '30 days'
            when is_known then total.until
            when total.failures < 4 * number_tries then '-infinity'
            else instant + login_wait(total.failures - 4 * number_tries, first_wait, longest_wait)
        end
    where key = number_key;
    wait := 0;
end
$$;

-- After the right password: the address is where it was before the try, and the failures of the origin and the number are forgotten.
create or replace function confirm_try(number text, origin text, address inet, address_until timestamptz) returns void language sql as $$
    update login_failures set
        failures = failures - 1, until = case when until = address_until then '-infinity' else until end
    where key = login_address_key(address) and failures > 0;
    delete from login_failures where key = origin;
    delete from login_failures where key = 'mobile:' || number;
$$;

-- Forgets all failures of an account and its number, whose rows it locks in the same order.
create or replace function forget_failures(number text, owner uuid) returns void language plpgsql as $$
begin
    perform from login_failures where mobile = number order by key desc for update;
    delete from login_failures where mobile = number;
    delete from login_failures where key in ('mobile:' || number, 'account:' || owner);
end
$$;

-- Counts the tries of somebody who is signed in and proves it again: they have tries of their own, which nobody else uses up.
-- Gives the seconds to wait, or 0.
create or replace function reserve_own_try(owner uuid, tries int, first_wait int, longest_wait int) returns int language plpgsql as $$
declare
    keys text[] := array['account:' || owner];
    opens timestamptz := lock_failures(keys, null);
    instant timestamptz := clock_timestamp();
begin
    if opens > instant then return ceil(extract(epoch from opens - instant)); end if;
    perform count_failure(keys, array[tries], instant, first_wait, longest_wait);
    return 0;
end
$$;

-- From when on the limits of a number let somebody ask for a code: `open_at` as anybody, `device_at` as a known device.
create or replace function code_limits(
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
create or replace function count_code(
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
create or replace function count_sign_up(address inet, per_hour int) returns int language plpgsql as $$
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
