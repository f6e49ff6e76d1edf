-- A reply that cannot be indexed is set aside, and those after it are indexed.

alter table search_queue
    add queued_at timestamptz not null default now(),
    -- When it was tried by itself, before which this is committed: whatever that does, even to Postgres, others are tried next.
    add set_aside_at timestamptz,
    add failures int not null default 0;

-- In the order in which they were queued: who has read all of it needs to look at no older ones again, dead ones included.
drop index search_queue_newest;
create index search_queue_newest on search_queue (queued_at, id) where set_aside_at is null;
create index search_queue_aside on search_queue (set_aside_at) where set_aside_at is not null;

-- Makes entries for replies and for what they answer, which has their time.
--
-- Messages are locked, so that whoever deletes one at that moment finds its entry.
create function add_search_entries(replies search_queue[]) returns void language plpgsql as $$
begin
    insert into search_entries (user_id, chatroom_id, message_id, words)
    select m.user_id, m.chatroom_id, m.id, search_words(m.user_id, m.content)
    from unnest(replies) r
    cross join lateral (
        select r.id
        union all
        select q.id from (
            select q.id, q.role, q.created_at from messages q
            where q.user_id = r.user_id and q.chatroom_id = r.chatroom_id and q.id <= r.id order by q.id desc limit 8
        ) q
        where q.role = 'user' and q.created_at = (
            select a.created_at from messages a
            where a.user_id = r.user_id and a.chatroom_id = r.chatroom_id and a.id = r.id)
    ) said
    join messages m on m.user_id = r.user_id and m.chatroom_id = r.chatroom_id and m.id = said.id
    where m.content <> ''
    for key share of m
    on conflict do nothing;
end
$$;

-- Indexes so many of the replies that were queued since a time, the newest first. How many there were.
drop function fill_search(int);
create function fill_search(replies int, since timestamptz default '-infinity') returns int language plpgsql as $$
declare taken search_queue[];
begin
    with newest as (
        select user_id, chatroom_id, id from search_queue where set_aside_at is null and queued_at >= since
        order by queued_at desc, id desc limit replies for update skip locked
    ), gone as (
        delete from search_queue q using newest n
        where q.user_id = n.user_id and q.chatroom_id = n.chatroom_id and q.id = n.id returning q.*
    )
    select array_agg(gone::search_queue) into taken from gone;
    perform add_search_entries(taken);
    return coalesce(cardinality(taken), 0);
end
$$;

-- Sets the newest reply of the queue aside, to be indexed by itself.
create function set_search_aside(since timestamptz) returns setof search_queue language plpgsql as $$
begin
    return query update search_queue q set set_aside_at = clock_timestamp(), failures = q.failures + 1 from (
        select n.user_id, n.chatroom_id, n.id from search_queue n where n.set_aside_at is null and n.queued_at >= since
        order by n.queued_at desc, n.id desc limit 1 for update skip locked
    ) n where q.user_id = n.user_id and q.chatroom_id = n.chatroom_id and q.id = n.id returning q.*;
end
$$;

-- Indexes one reply that was set aside.
create function fill_search_of(owner uuid, room uuid, reply uuid) returns void language plpgsql as $$
declare taken search_queue[];
begin
    with gone as (
        delete from search_queue q where q.user_id = owner and q.chatroom_id = room and q.id = reply returning q.*
    )
    select array_agg(gone::search_queue) into taken from gone;
    perform add_search_entries(taken);
end
$$;
