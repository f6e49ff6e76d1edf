-- What limits a number outlives the account: under a keyed hash of the number, and only while it limits anything.

-- The messages of a deleted account's day.
create table kept_usage (
    key text primary key,
    day date not null,
    used int not null,
    free_at timestamptz not null, -- as in usage_days
    ends_at timestamptz not null  -- of the day
);
create index kept_usage_over on kept_usage (ends_at);

-- Deletes an account, and keeps under this key how many codes and messages it had. False where it was deleted before.
create function delete_account(owner uuid, kept_as text) returns boolean language plpgsql as $$
declare
    u users;
    codes timestamptz[];
begin
    -- From here on nothing more is sent.
    perform begin_deletion(owner);
    select * into u from users where id = owner;
    if not found then return false; end if;
    insert into otp_sends as s (key, sent) values ('mobile:' || u.mobile, '{}')
    on conflict (key) do update set sent = s.sent returning sent into codes;
    if codes <> '{}' then
        insert into otp_sends as k (key, sent) values (kept_as, codes)
        on conflict (key) do update set sent = (array(select t from unnest(k.sent || codes) t order by t desc))[1:15];
    end if;
    insert into kept_usage as k (key, day, used, free_at, ends_at)
    select kept_as, d.day, d.reserved - d.refunded, d.free_at, t.ends_at
    from usage_day(u, clock_timestamp()) t join usage_days d on d.user_id = owner and d.day = t.day
    where d.reserved > d.refunded
    on conflict (key) do update set
        day = excluded.day, used = excluded.used, free_at = excluded.free_at, ends_at = excluded.ends_at;
    perform forget_failures(u.mobile, owner);
    return delete_user(owner);
end
$$;

-- Gives an account what a deleted one of its number, kept under one of these keys, used of the day that has not ended yet.
create function resume_usage(owner uuid, keys text[]) returns void strict language plpgsql as $$
declare
    k kept_usage;
    until timestamptz;
begin
    with gone as (delete from kept_usage where key = any(keys) returning *)
    select * into k from gone order by ends_at desc limit 1;
    if not found then return; end if;
    until := (select next_usage_day(k.ends_at, k.day, u.timezone) from users u where u.id = owner);
    if until <= clock_timestamp() then return; end if;
    update users set usage_day = k.day, usage_day_end = k.ends_at, usage_day_until = until where id = owner;
    insert into usage_days as d (user_id, day, reserved, carried, free_at) values (owner, k.day, k.used, k.used, k.free_at)
    on conflict (user_id, day) do update set
        reserved = d.reserved + excluded.reserved, carried = d.carried + excluded.carried,
        free_at = greatest(d.free_at, excluded.free_at);
end
$$;
