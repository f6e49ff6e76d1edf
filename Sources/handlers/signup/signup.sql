-- Signs a number up, unless an account has it. A number that nobody has proven to be theirs may be signed up again.
--
-- conceals: the answer does not tell whether the number has an account. It is of what was sent, with an id that is nobody's. wait is how
-- many seconds have to pass until the address may sign up another.
create function api.signup(
    number text, name text, address inet, per_hour int, conceals boolean, out verdict text, out wait int, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare made users;
begin
    wait := count_sign_up(address, per_hour);
    if wait > 0 then
        verdict := 'signup_limit_reached';
        return;
    end if;
    insert into users as u (mobile, username) values (number, name)
    on conflict (mobile) do update set username = excluded.username, created_at = now()
        where u.mobile_verified_at is null
    returning * into made;
    if conceals then
        made := null;
        made.id := uuidv7(clock_timestamp());
        made.mobile := number;
        made.username := name;
        made.timezone := 'UTC';
        made.created_at := now();
    elsif made.id is null then
        verdict := 'mobile_taken';
        return;
    end if;
    select j.json into json from user_json(made) j;
end
$$;

-- The number as it is stored, where it was written in a way that has two forms (stored_number).
create function api.signup_number(former text, normal text, out verdict text, out number text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select s into number from stored_number(former, normal) s;
end
$$;
