-- Accounts and rooms are deleted whole: what is under way at that moment leaves no row behind.

-- Whoever records an event while the account goes is refused, and not left with the only row of nobody.
alter table security_events add foreign key (user_id) references users on delete cascade;

-- Ends the work on one room, or on all that is the owner's where `room` is NULL, and locks out whoever would begin more of it
-- until the deletion is committed. The first step of every deletion: what it reads after this is all there is.
--
-- Senders hold the owner's lock and then look for their room (message_arrives), workers lock the job or the room for which they
-- store something, and sign-ins lock the user. They take these in any order, so they are waited for briefly and with none of the
-- locks kept: a deadlock would cost them their work.
create function begin_deletion(owner uuid, room uuid default null) returns void language plpgsql as $$
declare ended record;
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

-- Deletes an account and all that is its owner's, what is kept by their number included. False where it is gone already.
create function delete_user(owner uuid) returns boolean language plpgsql as $$
declare number text;
begin
    perform begin_deletion(owner);
    -- Sessions, rooms and events go with it.
    delete from users u where u.id = owner returning u.mobile into number;
    if not found then return false; end if;
    delete from deltas where user_id = owner;
    delete from messages where user_id = owner;
    delete from branches where user_id = owner;
    delete from summaries where user_id = owner;
    delete from otps where mobile = number;
    delete from otp_sends where key = 'mobile:' || number;
    delete from login_failures where key = 'mobile:' || number;
    -- A code on its way: jobs that send one belong to the number.
    delete from jobs where user_id = md5('otp:' || number)::uuid;
    return true;
end
$$;
