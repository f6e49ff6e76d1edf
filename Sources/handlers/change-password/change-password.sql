-- Gives the hash that the current password is judged by, and counts the try: it counts as a wrong one until it is known to be right, so
-- that tries at the same time are counted too. hash is NULL where there is no password yet: to set one, a code must have been entered for
-- this session a moment ago.
create function api.change_password_begin(
    caller caller, per_minute int, gives_password boolean, tries int, first_wait int, longest_wait int,
    out verdict text, out standing text, out wait int, out hash text
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'account', per_minute) b;
    if verdict is not null then return; end if;
    select u.password_hash into hash from users u where u.id = caller.user_id;
    if hash is not null and gives_password then
        wait := reserve_own_try(caller.user_id, tries, first_wait, longest_wait);
        if wait > 0 then verdict := 'login_too_soon'; end if;
    elsif hash is not null then
        verdict := 'current_password_missing';
    elsif not exists (
        select from sessions s
        where s.user_id = caller.user_id and s.id = caller.session_id and s.signed_in_by = 'otp'
            and s.created_at > now() - interval '5 minutes')
    then
        verdict := 'reauthentication_required';
    end if;
end
$$;

-- Sets the password, where it is still the one that was judged, and ends all other sessions.
create function api.change_password(
    caller caller, old_hash text, new_hash text, address inet, agent text, out verdict text
) language plpgsql security definer set search_path = public, pg_temp as $$
declare number text;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    update users u set password_hash = new_hash
    where u.id = caller.user_id and u.password_hash is not distinct from old_hash
    returning u.mobile into number;
    if not found then
        -- Somebody else changed it meanwhile.
        verdict := 'current_password_wrong';
        return;
    end if;
    perform forget_failures(number, caller.user_id);
    perform record_event(caller.user_id, 'password_changed', address, agent);
    -- This sees who signed in by the old password while the account's row was waited for.
    update sessions s set ended_at = now(), end_reason = 'password_changed'
    where s.user_id = caller.user_id and s.id <> caller.session_id and s.ended_at is null;
end
$$;
