-- A conversation that was taken up again from an earlier message goes on as a branch of its room. Messages carry the branch
-- in which they were written; a room that never forked has branch 0 alone, and no row here.
--
-- What a branch shows is its own messages and, of each branch in `path`, those before the message at the same place in
-- `below`. A branch never changes what it grew from, so this holds for ever, and ids sort it by time.
create table branches (
    user_id uuid not null,
    chatroom_id uuid not null,
    id int not null,
    path int[] not null,
    below uuid[] not null,
    chosen_at timestamptz not null default clock_timestamp(),
    primary key (user_id, chatroom_id, id)
);

-- The branch that the room shows and goes on with, and how many were made.
alter table chatrooms add branch int not null default 0, add branches int not null default 0;

-- variant_of is the same for all alternatives at one place of the conversation, the id of the first of them; NULL where there
-- is but one. What a reply was given to answer is kept beside it.
alter table messages
    add branch int not null default 0, add variant_of uuid, add tokens int, add provenance jsonb,
    -- A foreign key locks the room's row for every message, twice, and all messages of a busy room wait for that row:
    -- 5.5k against 12.7k messages/s. message_arrives() looks after what it did.
    drop constraint messages_chatroom;
create index messages_variants on messages (user_id, chatroom_id, variant_of) where variant_of is not null;

-- Part of every transaction that adds messages to a room: forgets the owner's cached list of rooms, and makes sure that the
-- room is still there. Whoever deletes rooms or users holds the same lock alone while doing so.
create function message_arrives(owner uuid, room uuid) returns void strict language plpgsql as $$
declare locked text := pg_advisory_xact_lock_shared(uuid_hash_extended(owner, 1));
begin
    delete from cache where key = 'chatrooms:' || owner;
    if not exists (select from chatrooms where user_id = owner and id = room) then
        raise foreign_key_violation using constraint = 'messages_chatroom', message = 'the room was deleted';
    end if;
end
$$;
