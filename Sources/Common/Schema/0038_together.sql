-- Whoever repeats a request while it is being carried out waits here for two seconds. In a transaction that is shared with other requests
-- (Database.runTogether) nobody waits: the others would too, and of two such transactions each might wait for the other.
create or replace function is_first(owner uuid, idempotency_key text) returns boolean language plpgsql as $$
declare
    key_lock bigint := hashtextextended(idempotency_key, uuid_hash_extended(owner, 3));
begin
    if not pg_try_advisory_xact_lock(key_lock) then
        if current_setting('chat.together', true) = 'on' then
            raise lock_not_available using message = 'a request with this key is being carried out';
        end if;
        perform wait_for_key(key_lock);
    end if;
    return not exists (
        select from idempotency_keys k
        where k.user_id = owner and k.key = idempotency_key and k.expires_at > now());
end
$$;

create function wait_for_key(key_lock bigint) returns void language plpgsql set lock_timeout = '2s' as $$
begin
    perform pg_advisory_xact_lock(key_lock);
end
$$;

-- As before, but in the order of the users, in which all lock who lock what is several users'.
create or replace function sweep_messages(most int) returns boolean language plpgsql as $$
declare
    r record;
    days int;
    below uuid;
    deleted int;
    count int := 0;
begin
    for r in
        select * from (
            select user_id, id, retention_days from chatrooms where sweep_at <= now() order by sweep_at limit 20
            for update skip locked
        ) due order by user_id
    loop
        select least(r.retention_days, u.retention_days) into days from users u where u.id = r.user_id;
        below := least(first_id(now() - make_interval(days => days)), (
            select rpad(left(replace(j.id::text, '-', ''), 12), 32, '0')::uuid from jobs j
            where j.user_id = r.user_id and j.lane = r.id order by j.id limit 1));
        if days is not null then
            deleted := delete_messages(r.user_id, r.id, below, most - count);
            if deleted > 0 then perform forget_chatroom_list(r.user_id); end if;
            count := count + deleted;
            if count >= most then return true; end if;
        end if;
        update chatrooms set sweep_at = greatest(now() + interval '1 minute', make_interval(days => days) + coalesce((
            select m.created_at from messages m
            where m.user_id = r.user_id and m.chatroom_id = r.id order by m.id limit 1
        ), now()))
        where user_id = r.user_id and id = r.id and days is not null;
        update chatrooms set sweep_at = null where user_id = r.user_id and id = r.id and days is null;
    end loop;
    return exists (select from chatrooms where sweep_at <= now());
end
$$;
