-- Signs in by a code, which proves that the number is theirs.
--
-- Anybody may have signed this number up. Only what is sent by whoever proves the number counts, its name and the hash of a password,
-- whatever was set before. The account is charged with what a deleted one of its number used, kept under one of the keys `kept`.
create function api.verify_otp(
    number text, hashes text[], name text, hash text, session uuid, refresh_hash text, seconds int, kept text[],
    address inet, agent text, out verdict text, out attempts_left int, out owner uuid, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare proven users;
begin
    select t.verdict, t.attempts_left into verdict, attempts_left from try_code('sign_in', number, hashes, address) t;
    if verdict is not null then return; end if;
    update users u set
        mobile_verified_at = coalesce(u.mobile_verified_at, now()),
        username = case when u.mobile_verified_at is null then name else u.username end,
        password_hash = case when u.mobile_verified_at is null then hash else u.password_hash end
    where u.mobile = number
    returning * into proven;
    if not found then
        -- The right code of a number without an account is a wrong one too.
        verdict := 'otp_invalid';
        attempts_left := 0;
        return;
    end if;
    owner := proven.id;
    perform begin_session(owner, session, 'otp', refresh_hash, seconds, address, agent);
    perform resume_usage(owner, kept);
    delete from login_failures f where f.key = 'mobile:' || number;
    select j.json into json from user_json(proven) j;
end
$$;

-- The number as it is stored, where it was written in a way that has two forms (stored_number).
create function api.verify_otp_number(former text, normal text, out verdict text, out number text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select s into number from stored_number(former, normal) s;
end
$$;
