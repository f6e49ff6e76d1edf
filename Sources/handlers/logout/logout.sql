-- Ends the sessions of an access token (caller) and of a refresh token (owner, session, hash); either is NULL where it is none. Whether
-- the refresh token is genuine, or the hash is that of the session's token, decides.
--
-- A session that has ended before is what a repeated request finds: a genuine refresh token is enough for it.
create function api.logout(
    caller caller, owner uuid, session uuid, is_genuine boolean, hash text, address inet, agent text, out verdict text
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
    by_access boolean := has_session(caller);
    by_refresh boolean := exists (
        select from sessions s
        where s.user_id = owner and s.id = session and lives(s)
            and (is_genuine or s.refresh_hash = hash));
begin
    if by_access then
        perform end_sessions(caller.user_id, caller.session_id, false, 'signed_out', address, agent);
    end if;
    if by_refresh then perform end_sessions(owner, session, false, 'signed_out', address, agent); end if;
    if not by_access and not by_refresh and not is_genuine then
        verdict := case when caller.user_id is null then 'refresh_invalid' else 'session_ended' end;
    end if;
end
$$;
