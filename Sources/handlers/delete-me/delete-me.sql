-- Gives what the proof is judged by that the owner asks, and not whoever has their token. A password that is given counts as a wrong one
-- until it is known to be right.
create function api.delete_me_begin(
    caller caller, per_minute int, gives_password boolean, tries int, first_wait int, longest_wait int,
    out verdict text, out standing text, out wait int, out number text, out hash text
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'account', per_minute) b;
    if verdict is not null then return; end if;
    select u.mobile, u.password_hash into number, hash from users u where u.id = caller.user_id;
    if gives_password then
        wait := reserve_own_try(caller.user_id, tries, first_wait, longest_wait);
        if wait > 0 then verdict := 'login_too_soon'; end if;
    end if;
end
$$;

-- Judges a code that was sent to the caller's number (try_code). It is a transaction of its own: the code is used up before the account
-- is locked, and stays so whatever happens then.
create function api.delete_me_code(
    caller caller, hashes text[], address inet, out verdict text, out attempts_left int
) language plpgsql security definer set search_path = public, pg_temp as $$
declare number text;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select u.mobile into number from users u where u.id = caller.user_id;
    select t.verdict, t.attempts_left into verdict, attempts_left from try_code('sign_in', number, hashes, address) t;
end
$$;

-- Deletes the caller's account; what limits its number is kept under the key `kept_as`.
create function api.delete_me(caller caller, kept_as text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
    elsif not delete_account(caller.user_id, kept_as) then
        verdict := 'session_ended';
    end if;
end
$$;
