-- How many days messages are kept: of a room, and of all rooms of a user. The shorter applies; NULL is for ever.
alter table users
    add retention_days int constraint users_retention_days check (retention_days between 1 and 3650);
-- A room in the trash is there for nobody but the endpoints of the trash.
alter table chatrooms
    add retention_days int constraint chatrooms_retention_days check (retention_days between 1 and 3650),
    add deleted_at timestamptz;
create index chatrooms_trash on chatrooms (user_id, deleted_at, id) where deleted_at is not null;
create index chatrooms_purge on chatrooms (deleted_at) where deleted_at is not null;

-- Has the rows of one room, or of all that is the owner's where `room` is NULL, and of the work on it, to itself until the
-- commit, and locks out whoever would begin more of it: what is read after this is all there is.
--
-- Senders hold the owner's lock and then look for their room (message_arrives), workers lock the job or the room for which they
-- store something, and sign-ins lock the user. They take these in any order, so they are waited for briefly and with none of the
-- locks kept: a deadlock would cost them their work.
create function lock_for_deletion(owner uuid, room uuid) returns void language plpgsql as $$
begin
    loop
        begin
            perform set_config('lock_timeout', '100ms', true);
            perform pg_advisory_xact_lock(uuid_hash_extended(owner, 1));
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
    delete from cache where key = 'chatrooms:' || owner;
end
$$;

-- Puts a room into the trash. Its unfinished replies are cancelled as if their reader had done so. False where it is there
-- already, or nowhere.
create function trash_chatroom(owner uuid, room uuid) returns boolean language plpgsql as $$
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
create function purge_chatroom(owner uuid, room uuid) returns boolean language plpgsql as $$
begin
    -- Nothing is under way for it, and nothing comes.
    delete from chatrooms r where r.user_id = owner and r.id = room and r.deleted_at is not null;
    if not found then return false; end if;
    delete from deltas where user_id = owner
        and message_id in (select m.id from messages m where m.user_id = owner and m.chatroom_id = room);
    delete from messages where user_id = owner and chatroom_id = room;
    delete from branches where user_id = owner and chatroom_id = room;
    delete from summaries where user_id = owner and chatroom_id = room;
    -- Answers to be given again.
    delete from idempotency_keys where user_id = owner and strpos(endpoint || answer, room::text) > 0;
    return true;
end
$$;

-- As before, and a room in the trash is none.
create or replace function message_arrives(owner uuid, room uuid) returns void strict language plpgsql as $$
declare locked text := pg_advisory_xact_lock_shared(uuid_hash_extended(owner, 1));
begin
    delete from cache where key = 'chatrooms:' || owner;
    if not exists (select from chatrooms where user_id = owner and id = room and deleted_at is null) then
        raise foreign_key_violation using constraint = 'messages_chatroom', message = 'the room was deleted';
    end if;
end
$$;
