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
