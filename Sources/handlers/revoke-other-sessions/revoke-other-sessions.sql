-- Ends all of the caller's sessions but that of the request.
create function api.revoke_other_sessions(caller caller, address inet, agent text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    perform end_sessions(caller.user_id, caller.session_id, true, 'revoked', address, agent);
end
$$;
