-- Whether a session lives. An endpoint that is called all the time asks this in its own statement, beside whether the session is used
-- already (is_unused), and only if not both is_signed_in.
create or replace function lives(s sessions) returns boolean language sql stable as $$
    select s.ended_at is null and s.expires_at > now()
$$;

-- Whether the caller's session lives: what every protected endpoint asks first.
--
-- The first use of an access token of the last refresh is noted, after which the refresh token before is good no more.
create or replace function is_signed_in(c caller) returns boolean language plpgsql as $$
declare is_unused boolean;
begin
    select s.is_unused into is_unused from sessions s
    where s.user_id = c.user_id and s.id = c.session_id and lives(s);
    if not found then return false; end if;
    if is_unused then perform first_use(c); end if;
    return true;
end
$$;

-- Notes that an unused session is used, where this access token is of its last refresh: of the same second, or later. Several that note it at
-- once do not wait for each other.
create or replace function first_use(c caller) returns void language plpgsql as $$
begin
    update sessions set is_unused = false
    where user_id = c.user_id and id = (
        select s.id from sessions s
        where s.user_id = c.user_id and s.id = c.session_id and s.is_unused
            and c.token_time >= floor(extract(epoch from s.refreshed_at))
        for update skip locked);
end
$$;

-- The same for an endpoint that ends the session itself: it leaves the session's row to that.
create or replace function has_session(c caller) returns boolean language plpgsql as $$
begin
    return exists (
        select from sessions s where s.user_id = c.user_id and s.id = c.session_id and lives(s));
end
$$;

-- Ends sessions of a user that live: the one with this id, or all but that one. Gives how many.
create or replace function end_sessions(owner uuid, session uuid, all_others boolean, reason text, address inet, agent text)
returns int language plpgsql as $$
declare ended int;
begin
    with ended as (
        update sessions s set ended_at = now(), end_reason = reason
        where s.user_id = owner and (s.id = session) <> all_others and lives(s)
        returning s.id
    )
    insert into security_events (user_id, kind, ip, user_agent, detail)
    select owner, case reason when 'revoked' then 'session_revoked' else reason end, address, left(agent, 500),
        jsonb_build_object('session_id', e.id)
    from ended e;
    get diagnostics ended = row_count;
    return ended;
end
$$;

-- Begins a session and records the sign-in.
create or replace function begin_session(
    owner uuid, session uuid, means text, hash text, seconds int, address inet, agent text
) returns void language plpgsql as $$
begin
    insert into sessions (user_id, id, signed_in_by, refresh_hash, expires_at, ip, user_agent)
    values (owner, session, means, hash, now() + make_interval(secs => seconds), address, left(agent, 500));
    perform record_event(owner, 'signed_in', address, agent);
end
$$;

-- Records what an account's owner should know of.
create or replace function record_event(owner uuid, of_kind text, address inet, agent text, about jsonb default null)
returns void language plpgsql as $$
begin
    insert into security_events (user_id, kind, ip, user_agent, detail)
    values (owner, of_kind, address, left(agent, 500), about);
end
$$;
