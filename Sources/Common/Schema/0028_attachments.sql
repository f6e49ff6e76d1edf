-- Pictures and documents that go with messages: of one room, once they are sent.
create table attachments (
    user_id uuid not null references users on delete cascade,
    id uuid not null,
    -- NULL until it is sent.
    chatroom_id uuid,
    media_type text not null,
    bytes int not null,
    name text,
    created_at timestamptz not null default now(),
    primary key (user_id, id),
    constraint attachments_chatroom foreign key (user_id, chatroom_id) references chatrooms on delete cascade
);
create index attachments_of_room on attachments (user_id, chatroom_id);
create index attachments_unsent on attachments (created_at) where chatroom_id is null;

-- Their bytes, in pieces of 98,304, so that nobody has to have a whole one in memory. They come before the row that they belong
-- to, which is written when all are there.
create table attachment_pieces (
    user_id uuid not null,
    attachment_id uuid not null,
    number int not null,
    data bytea not null,
    primary key (user_id, attachment_id, number),
    constraint attachment_pieces_attachment foreign key (user_id, attachment_id) references attachments
        on delete cascade deferrable initially deferred
);
-- They are compressed already.
alter table attachment_pieces alter data set storage external;

-- In the order of the message. A variant of a message shares them.
alter table messages add attachments uuid[];
create index messages_attachments on messages (user_id, chatroom_id) where attachments is not null;

-- Claims attachments for a message of this room, of at most so many bytes together. What a message has, no other gets: of two
-- that claim one at the same time, the second waits here and is refused.
create function claim_attachments(owner uuid, room uuid, ids uuid[], most bigint) returns uuid[] language plpgsql as $$
declare
    claimed int;
    total bigint;
begin
    with free as (
        select a.id from attachments a
        where a.user_id = owner and a.id = any(ids) and a.chatroom_id is null
        order by a.id for update
    ), mine as (
        update attachments a set chatroom_id = room from free f where a.user_id = owner and a.id = f.id returning a.bytes
    )
    select count(*), coalesce(sum(bytes), 0) into claimed, total from mine;
    if claimed < cardinality(ids) then
        raise check_violation using constraint = 'attachments_free', message = 'not all are there and free';
    elsif total > most then
        raise check_violation using constraint = 'attachments_total', message = 'too large for one message';
    end if;
    return ids;
end
$$;

-- An attachment goes with the last message that has it.
create function drop_attachments() returns trigger language plpgsql as $$
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
create trigger messages_attachments after delete on messages for each row when (old.attachments is not null)
execute function drop_attachments();
