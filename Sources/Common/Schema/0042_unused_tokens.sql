-- Whether nobody has used the tokens of the last refresh yet, neither of the two: the answer may have been lost.
alter table sessions add is_unused boolean not null default false;

-- Notes that the access token of the last refresh is used, once for each refresh. Always true, and waits for nobody: where the row
-- is locked, the next request notes it.
create function use_session(owner uuid, session uuid) returns boolean language plpgsql as $$
begin
    update sessions set is_unused = false
    where user_id = owner and id = (
        select s.id from sessions s where s.user_id = owner and s.id = session and s.is_unused for update skip locked);
    return true;
end
$$;

-- As before, but the token before the current one is good until somebody uses what took its place, and for the overlap in any case.
-- After the overlap the access token is made anew: `at` is when.
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
