-- Sets a password by a code, and ends all sessions.
create function api.reset_password(
    number text, hashes text[], new_hash text, kept text[], address inet, agent text,
    out verdict text, out attempts_left int
) language plpgsql security definer set search_path = public, pg_temp as $$
declare owner uuid;
begin
    select t.verdict, t.attempts_left into verdict, attempts_left from try_code('reset', number, hashes, address) t;
    if verdict is not null then return; end if;
    update users u set
        password_hash = new_hash, mobile_verified_at = coalesce(u.mobile_verified_at, now()),
        -- Anybody may have set the name of a number that nobody had proven.
        username = case when u.mobile_verified_at is not null then u.username end
    where u.mobile = number
    returning u.id into owner;
    if not found then
        -- The right code of a number without an account is a wrong one too.
        verdict := 'otp_invalid';
        attempts_left := 0;
        return;
    end if;
    perform forget_failures(number, owner);
    perform resume_usage(owner, kept);
    perform record_event(owner, 'password_reset', address, agent);
    -- This sees who signed in by the old password while the account's row was waited for.
    update sessions s set ended_at = now(), end_reason = 'password_reset' where s.user_id = owner and s.ended_at is null;
end
$$;

-- The number as it is stored, where it was written in a way that has two forms (stored_number).
create function api.reset_password_number(former text, normal text, out verdict text, out number text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select s into number from stored_number(former, normal) s;
end
$$;
