-- The newest definition deletes all there is.
create or replace function delete_user(owner uuid) returns boolean language plpgsql as $$
declare number text;
begin
    perform begin_deletion(owner);
    -- Sessions, rooms and events go with it.
    delete from users u where u.id = owner returning u.mobile into number;
    if not found then return false; end if;
    delete from deltas where user_id = owner;
    delete from search_queue where user_id = owner;
    delete from messages where user_id = owner;
    delete from search_entries where user_id = owner;
    delete from branches where user_id = owner;
    delete from summaries where user_id = owner;
    delete from idempotency_keys where user_id = owner;
    delete from ledger where user_id = owner;
    delete from usage_days where user_id = owner;
    delete from otps where mobile = number;
    delete from otp_sends where key = 'mobile:' || number;
    delete from login_failures where key = 'mobile:' || number;
    -- A code on its way: jobs that send one belong to the number.
    delete from jobs where user_id = md5('otp:' || number)::uuid;
    return true;
end
$$;

-- Has the rows of one room, or of all that is the owner's where `room` is NULL, and of the work on it, to itself until the
-- commit, and locks out whoever would begin more of it: what is read after this is all there is.
--
-- Senders hold the owner's lock and then look for their room (hold_rooms), workers lock the job or the room for which they
-- store something, and sign-ins lock the user. They take these in any order, so they are waited for briefly and with none of the
-- locks kept: a deadlock would cost them their work.
create or replace function lock_for_deletion(owner uuid, room uuid) returns void language plpgsql as $$
begin
    loop
        begin
            perform set_config('lock_timeout', '100ms', true);
            perform pg_advisory_xact_lock(rooms_lock(owner));
            perform from users u where u.id = owner and room is null for update;
            perform from sessions s where s.user_id = owner and room is null for update;
            perform from chatrooms r where r.user_id = owner and (room is null or r.id = room) for update;
            perform from jobs j
            where j.user_id = owner and (room is null or j.lane = room or j.payload ->> 'chatroom_id' = room::text)
            for update;
            exit;
        exception when lock_not_available then
            perform pg_sleep(0.005);
        end;
    end loop;
    perform set_config('lock_timeout', '0', true);
end
$$;

-- Puts a room into the trash. Its unfinished replies are cancelled as if their reader had done so. False where it is there
-- already, or nowhere.
create or replace function trash_chatroom(owner uuid, room uuid) returns boolean language plpgsql as $$
begin
    perform lock_for_deletion(owner, room);
    update chatrooms r set deleted_at = clock_timestamp()
    where r.user_id = owner and r.id = room and r.deleted_at is null;
    if not found then return false; end if;
    perform cancel_reply(owner, room, j.id) from jobs j where j.user_id = owner and j.lane = room and j.kind = 'reply';
    perform begin_deletion(owner, room);
    return true;
end
$$;

-- Deletes a room in the trash and all that belongs to it. False where there is none.
create or replace function purge_chatroom(owner uuid, room uuid) returns boolean language plpgsql as $$
begin
    -- Nothing is under way for it, and nothing comes.
    delete from chatrooms r where r.user_id = owner and r.id = room and r.deleted_at is not null;
    if not found then return false; end if;
    delete from deltas where user_id = owner
        and message_id in (select m.id from messages m where m.user_id = owner and m.chatroom_id = room);
    -- Before the messages, which the worker locks after this, and the entries that it makes of them last.
    delete from search_queue where user_id = owner and chatroom_id = room;
    delete from messages where user_id = owner and chatroom_id = room;
    delete from search_entries where user_id = owner and chatroom_id = room;
    delete from branches where user_id = owner and chatroom_id = room;
    delete from summaries where user_id = owner and chatroom_id = room;
    -- Answers to be given again.
    delete from idempotency_keys where user_id = owner and strpos(endpoint || answer, room::text) > 0;
    return true;
end
$$;

-- The lowest id of a time.
create or replace function first_id(at timestamptz) returns uuid language sql immutable parallel safe as $$
    select (lpad(to_hex((floor(date_part('epoch', at) * 1000))::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Deletes at most so many of a room's messages, the oldest first, of those before `below`. How many there were.
create or replace function delete_messages(owner uuid, room uuid, below uuid, most int) returns int language plpgsql as $$
declare
    gone uuid[];
    places uuid[];
begin
    with deleted as (
        delete from messages m where m.user_id = owner and m.chatroom_id = room and m.id = any(array(
            select o.id from messages o
            where o.user_id = owner and o.chatroom_id = room and o.id < below order by o.id limit most))
        returning m.id, m.variant_of
    )
    select array_agg(id), array_agg(distinct variant_of) filter (where variant_of is not null)
    into gone, places from deleted;
    -- The oldest of the variants that are left stands for their place now: what its branch shows before it is what they follow.
    update messages m set variant_of = v.first from (
        select s.variant_of as place, case when count(*) > 1 then (array_agg(s.id order by s.id))[1] end as first
        from messages s where s.user_id = owner and s.chatroom_id = room and s.variant_of = any(places) group by 1
    ) v
    where m.user_id = owner and m.chatroom_id = room and m.variant_of = v.place;
    -- With the last message that it covers, a summary stands in for none.
    delete from summaries s where s.user_id = owner and s.chatroom_id = room and s.upto = any(gone);
    delete from deltas d where d.user_id = owner and d.message_id = any(gone);
    delete from search_entries e where e.user_id = owner and e.chatroom_id = room and e.message_id = any(gone);
    return coalesce(cardinality(gone), 0);
end
$$;

-- Deletes at most so many messages that are too old. Whether there may be more. What is still to be answered stays, and all that
-- came after it. It takes the rooms in the order of the users, in which all lock who lock what is several users'.
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

-- Deletes what is in the trash for longer than so many days, at most so many messages of it. Whether there may be more.
--
-- An hour later than it could last be restored, so that nobody restores what is being emptied.
create or replace function sweep_trash(days int, most int) returns boolean language plpgsql as $$
declare r record;
begin
    select user_id, id into r from chatrooms
    where deleted_at < now() - make_interval(days => days, hours => 1) order by deleted_at limit 1 for update skip locked;
    if r.id is null then return false; end if;
    if delete_messages(r.user_id, r.id, 'ffffffff-ffff-ffff-ffff-ffffffffffff', most) < most then
        perform purge_chatroom(r.user_id, r.id);
    end if;
    return true;
end
$$;

-- An attachment goes with the last message that has it.
create or replace function drop_attachments() returns trigger language plpgsql as $$
begin
    delete from attachments a
    where a.user_id = old.user_id and a.id = any(old.attachments) and not exists (
        select from messages m
        where m.user_id = old.user_id and m.chatroom_id = old.chatroom_id and m.attachments is not null
            and a.id = any(m.attachments)
    );
    return null;
end
$$;

-- Deletes an account, and keeps under this key how many codes and messages it had. False where it was deleted before.
create or replace function delete_account(owner uuid, kept_as text) returns boolean language plpgsql as $$
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
