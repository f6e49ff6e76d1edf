-- Renews a session by a refresh token (refresh_session). hash is that of the session's current token, seconds are those since 1970 at
-- which the token was made.
create function api.refresh(
    owner uuid, session uuid, used int, used_hash text, is_genuine boolean, next_hash text, overlap int, lifetime int,
    address inet, agent text, out verdict text, out hash text, out seconds bigint, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare r record;
begin
    r := refresh_session(
        owner, session, used, used_hash, is_genuine, next_hash, overlap, lifetime, address, agent);
    if r.verdict = 'reused' then
        perform record_event(owner, 'refresh_reused', address, agent, jsonb_build_object('session_id', session));
    end if;
    verdict := case r.verdict
        when 'rotated' then null
        when 'repeated' then null
        when 'reused' then 'refresh_reused'
        when 'ended' then 'session_ended'
        else 'refresh_invalid'
    end;
    if verdict is not null then return; end if;
    hash := r.current_hash;
    seconds := floor(extract(epoch from r.at));
    select j.json into json from users u cross join lateral user_json(u) j where u.id = owner;
end
$$;
