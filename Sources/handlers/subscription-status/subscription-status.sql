-- The plan that the caller is on, and the subscription that counts longest.
create function api.subscription_status(caller caller, details jsonb, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if is_signed_in(caller) then json := subscription_json(caller.user_id, details); end if;
    if json is null then verdict := 'session_ended'; end if;
end
$$;
