-- Wrong passwords are counted for each origin first and for the number second, so that nobody locks another out by guessing.

-- The number that a key names: its rows go with the account.
alter table login_failures add mobile text;
create index login_failures_mobile on login_failures (mobile) where mobile is not null;

-- Whether a number's owner has used a session from this address (IPv6: /64) with this user agent lately. Sessions that were ended
-- because somebody else had them don't count.
create function is_known_device(number text, address inet, agent text) returns bool language sql stable as $$
    select exists (
        select from users u join sessions s on s.user_id = u.id
        where u.mobile = number and u.mobile_verified_at is not null and s.last_used_at > now() - interval '90 days'
            and s.user_agent is not distinct from left(agent, 500) and login_address_key(s.ip) = login_address_key(address)
            and s.end_reason is distinct from 'revoked' and s.end_reason is distinct from 'refresh_reused')
$$;

-- How long the next try waits after so many failures more than are free.
create function login_wait(beyond int, first_wait int, longest_wait int) returns interval language sql immutable as $$
    select make_interval(secs => least(longest_wait, first_wait * 2 ^ least(beyond, 20)))
$$;

-- Locks the counts of these keys, in their order, and says from when on they allow a try.
create function lock_failures(keys text[], number text) returns timestamptz language plpgsql as $$
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
create function count_failure(keys text[], tries int[], instant timestamptz, first_wait int, longest_wait int)
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
create function reserve_try(
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
create function confirm_try(number text, origin text, address inet, address_until timestamptz) returns void language sql as $$
    update login_failures set
        failures = failures - 1, until = case when until = address_until then '-infinity' else until end
    where key = login_address_key(address) and failures > 0;
    delete from login_failures where key = origin;
    delete from login_failures where key = 'mobile:' || number;
$$;

-- Forgets all failures of an account and its number, whose rows it locks in the same order.
create function forget_failures(number text, owner uuid) returns void language plpgsql as $$
begin
    perform from login_failures where mobile = number order by key desc for update;
    delete from login_failures where mobile = number;
    delete from login_failures where key in ('mobile:' || number, 'account:' || owner);
end
$$;

-- Counts the tries of somebody who is signed in and proves it again: they have tries of their own, which nobody else uses up.
-- Gives the seconds to wait, or 0.
create function reserve_own_try(owner uuid, tries int, first_wait int, longest_wait int) returns int language plpgsql as $$
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
