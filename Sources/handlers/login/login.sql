-- Counts a try to sign in by a password, and gives what the password is judged by. The owner is NULL where nobody has proven the number
-- to be theirs, hash where there is no password. origin and address_until say what the try was counted under, for `login`.
create function api.login_begin(
    number text, address inet, agent text, tries int, tries_by_address int, first_wait int, longest_wait int,
    out verdict text, out wait int, out origin text, out address_until timestamptz, out owner uuid, out hash text
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select t.wait, t.origin, t.address_until into wait, origin, address_until
    from reserve_try(number, address, agent, tries, tries_by_address, first_wait, longest_wait) t;
    if wait > 0 then
        verdict := 'login_too_soon';
        return;
    end if;
    select u.id, u.password_hash into owner, hash from users u where u.mobile = number and u.mobile_verified_at is not null;
end
$$;

-- Records that a password was wrong. Where there is no account it is recorded too, as nobody's, for the time that it takes.
create function api.login_failed(account uuid, address inet, agent text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if account is null then
        insert into unowned_events (user_id, kind, ip, user_agent)
        values ('00000000-0000-0000-0000-000000000000', 'sign_in_failed', address, left(agent, 500));
    else
        perform record_event(account, 'sign_in_failed', address, agent);
    end if;
end
$$;

-- Begins a session of an account whose password was right, and keeps the password's new hash.
--
-- The hash may be another by now: a password that was changed meanwhile signs nobody in. The account's row is written in any case, so
-- that whoever changes the password finds this session.
create function api.login(
    account uuid, old_hash text, new_hash text, session uuid, refresh_hash text, seconds int, origin text,
    address_until timestamptz, address inet, agent text, out verdict text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare signed_in users;
begin
    update users u set password_hash = new_hash where u.id = account and u.password_hash = old_hash
    returning * into signed_in;
    if not found then
        verdict := 'credentials_invalid';
        return;
    end if;
    perform begin_session(account, session, 'password', refresh_hash, seconds, address, agent);
    perform confirm_try(signed_in.mobile, origin, address, address_until);
    select j.json into json from user_json(signed_in) j;
end
$$;

-- The number as it is stored, where it was written in a way that has two forms (stored_number).
create function api.login_number(former text, normal text, out verdict text, out number text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select s into number from stored_number(former, normal) s;
end
$$;
