-- Messages are deleted when they are as old as their room or their user will have it.

-- When the worker has to look at a room again. NULL: nothing in it grows too old.
alter table chatrooms add sweep_at timestamptz;
alter table chatrooms alter sweep_at set default now();
create index chatrooms_sweep on chatrooms (sweep_at) where sweep_at is not null;

-- The lowest id of a time.
create function first_id(at timestamptz) returns uuid language sql immutable parallel safe as $$
    select (lpad(to_hex((floor(date_part('epoch', at) * 1000))::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Deletes at most so many of a room's messages, the oldest first, of those before `below`. How many there were.
create function delete_messages(owner uuid, room uuid, below uuid, most int) returns int language plpgsql as $$
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
-- came after it.
create function sweep_messages(most int) returns boolean language plpgsql as $$
declare
    r record;
    days int;
    below uuid;
    deleted int;
    count int := 0;
begin
    for r in
        select user_id, id, retention_days from chatrooms where sweep_at <= now() order by sweep_at limit 20
        for update skip locked
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
create function sweep_trash(days int, most int) returns boolean language plpgsql as $$
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

-- As before, and what was found in it.
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
    delete from otps where mobile = number;
    delete from otp_sends where key = 'mobile:' || number;
    delete from login_failures where key = 'mobile:' || number;
    -- A code on its way: jobs that send one belong to the number.
    delete from jobs where user_id = md5('otp:' || number)::uuid;
    return true;
end
$$;
