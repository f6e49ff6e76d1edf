-- Renews a session by the refresh token of a generation. `genuine` says that the token was derived from a key of ours, and
-- `next_hash` is of the token that is to take its place. The verdict:
--   rotated   the token was the current one
--   repeated  it was the one before, within the overlap: the caller gets what the first to use it got
--   reused    a genuine one that is older: somebody else has it, and the session is ended
--   ended     the session of a genuine one has ended
--   invalid   anything else; nothing is changed, or whoever knows a session's id could end it
--
-- A function, because what is judged after the wait for the row's lock has to be what was committed meanwhile.
create function refresh_session(
    owner uuid, session uuid, used int, used_hash text, genuine bool, next_hash text, overlap int, lifetime int,
    address inet, agent text, out verdict text, out current_hash text, out at timestamptz
) language plpgsql as $$
declare
    s sessions;
    instant timestamptz;
begin
    select * into s from sessions where user_id = owner and id = session for update;
    instant := clock_timestamp();
    if s.ended_at is not null or s.expires_at <= instant then
        verdict := case when genuine then 'ended' else 'invalid' end;
    elsif s.generation = used and s.refresh_hash = used_hash then
        verdict := 'rotated';
        update sessions set
            generation = used + 1, refresh_hash = next_hash, refreshed_at = instant, last_used_at = instant,
            expires_at = instant + make_interval(secs => lifetime), ip = address, user_agent = left(agent, 500)
        where user_id = owner and id = session returning * into s;
    elsif s.generation = used + 1 and genuine and instant < s.refreshed_at + make_interval(secs => overlap) then
        verdict := 'repeated';
    elsif s.generation > used and genuine then
        verdict := 'reused';
        update sessions set ended_at = instant, end_reason = 'refresh_reused' where user_id = owner and id = session;
    else
        verdict := 'invalid';
    end if;
    current_hash := s.refresh_hash;
    at := s.refreshed_at;
end
$$;

-- Under which an address is counted: one of IPv6 with the 2^64 that its owner has.
create function login_address_key(address inet) returns text language sql immutable as $$
    select 'address:' || case
        when family(address) = 4 or address << '::ffff:0:0/96' then host(address)
        else network(set_masklen(address, 64))::text
    end
$$;

-- Counts a try to sign in by a password as a failure, before it is judged, so that of many at the same time no more pass
-- than may; clear_login() takes it back. Gives the seconds to wait where it is too soon, and counts nothing then. Failures
-- are forgotten after a day without any.
--
-- Rows are locked in the order of their keys, addresses before numbers, here and in clear_login().
create function reserve_login(
    number text, address inet, number_tries int, address_tries int, first_wait int, longest_wait int
) returns int language plpgsql as $$
declare
    keys text[] := array_remove(array[login_address_key(address), 'mobile:' || number], null);
    opens timestamptz;
    instant timestamptz;
begin
    -- Locks what is there already, and does not write it.
    insert into login_failures as f (key, failures, failed_at, until)
    select k, 0, clock_timestamp(), '-infinity' from unnest(keys) k order by k
    on conflict (key) do update set failures = f.failures where false;

    select max(until) into opens from login_failures where key = any(keys);
    instant := clock_timestamp();
    if opens > instant then
        return ceil(extract(epoch from opens - instant));
    end if;
    update login_failures f set failures = c.failures, failed_at = instant, until = case
            when c.failures < c.tries then '-infinity'
            else instant + make_interval(secs => least(longest_wait, first_wait * 2 ^ least(c.failures - c.tries, 20)))
        end
    from (
        select key, case when failed_at < instant - interval '1 day' then 1 else failures + 1 end as failures,
            case when key like 'mobile:%' then number_tries else address_tries end as tries
        from login_failures where key = any(keys)
    ) c
    where f.key = c.key;
    return 0;
end
$$;

-- After the right password: the number's failures are forgotten, and of the address's the one that was none.
create function clear_login(number text, address inet, address_tries int) returns void language sql as $$
    update login_failures set
        failures = failures - 1, until = case when failures <= address_tries then '-infinity' else until end
    where key = login_address_key(address) and failures > 0;
    delete from login_failures where key = 'mobile:' || number;
$$;

-- Tries to sign in where there is no account: written for the time that it takes, and deleted by the worker.
create table unowned_events (like security_events including all);
