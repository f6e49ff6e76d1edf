-- A chatroom as its owner sees it. When there was last something new in it, a message or a change to the room itself, is found by the
-- index on messages and not kept in the room's row, for a message would have to lock that row until its commit.
create or replace function room_json(r chatrooms, default_model text) returns table (json json) language sql stable as $$
    select row_to_json(j) from (
        select r.id, r.title, coalesce(r.model, default_model) as model, r.system_instruction, r.pinned, r.archived,
            r.retention_days, r.created_at, room_updated_at(r) as updated_at
    ) j
$$;

create or replace function room_updated_at(r chatrooms) returns timestamptz language plpgsql stable as $$
begin
    return greatest(r.changed_at, (
        select told_at(m.created_at, m.role) from messages m
        where m.user_id = r.user_id and m.chatroom_id = r.id order by m.id desc limit 1));
end
$$;

-- Whether a room is in the trash and can be restored. After that it is the worker's to delete.
create or replace function is_in_trash(r chatrooms, days int) returns boolean language sql stable as $$
    select r.deleted_at is not null and r.deleted_at > now() - make_interval(days => days)
$$;

-- Forgets the cached list of rooms of a user, as part of every write that changes it. Nobody caches an old list after this: who fills the
-- cache holds the lock alone, from before they read the rooms until the entry is committed, and does without where a writer has it.
-- Writers share the lock, so that they do not wait for each other's commit.
create or replace function forget_chatroom_list(owner uuid) returns void language plpgsql as $$
begin
    perform hold_rooms(array[owner], true);
end
$$;

drop function if exists hold_rooms(uuid, boolean);

-- Has the messages and rooms of users deleted by nobody until the transaction ends, and their lists of rooms made anew. Gives those users
-- for whom that holds: all, unless somebody is at it and may_wait is false.
create or replace function hold_rooms(owners uuid[], may_wait boolean) returns uuid[] language plpgsql as $$
begin
    if may_wait then
        perform pg_advisory_xact_lock_shared(rooms_lock(o)) from unnest(owners) o;
    else
        owners := array(select o from unnest(owners) o where pg_try_advisory_xact_lock_shared(rooms_lock(o)));
    end if;
    -- The second key is of the release before.
    delete from cache where key = any(array(
        select l.name || o from unnest(owners) o cross join unnest('{rooms:,chatrooms:}'::text[]) l (name)));
    return owners;
end
$$;

-- Ends what is under way for a user's rooms, or one of them, before they are deleted; nothing more is begun until the transaction ends.
create or replace function begin_deletion(owner uuid, room uuid default null) returns void language plpgsql as $$
declare ended record;
begin
    perform lock_for_deletion(owner, room);
    for ended in
        delete from jobs j
        where j.user_id = owner and (room is null or j.lane = room or j.payload ->> 'chatroom_id' = room::text)
        returning j.id, j.state
    loop
        if ended.state = 'running' then
            perform pg_notify('cancelled', ended.id::text), pg_notify('replies', ended.id::text);
        end if;
    end loop;
    -- The second key is of the release before.
    delete from cache where key in ('rooms:' || owner, 'chatrooms:' || owner);
end
$$;
