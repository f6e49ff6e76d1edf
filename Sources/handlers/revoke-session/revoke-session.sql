-- Ends one of the caller's sessions, which may be that of the request.
create function api.revoke_session(caller caller, session uuid, address inet, agent text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not has_session(caller) then
        verdict := 'session_ended';
    elsif end_sessions(caller.user_id, session, false, 'revoked', address, agent) = 0 then
        verdict := 'not_found';
    end if;
end
$$;
