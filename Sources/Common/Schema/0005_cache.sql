-- Answers that are worth keeping for a while. Lost in a crash, and nothing is lost with them.
create unlogged table cache (
    key text primary key,
    value text not null,
    expires_at timestamptz not null
);
create index cache_expired on cache (expires_at);

-- Forgets the cached list of rooms of `owner`, as part of every write that changes it. Nobody caches an old list after
-- this: who fills the cache holds the lock alone, from before they read the rooms until the entry is committed, and does
-- without where a writer has it. Writers share the lock, so that they do not wait for each other's commit.
--
-- A function, because the deletion has to see what was committed before the lock was had: each of its statements takes a
-- snapshot of its own.
create function forget_chatroom_list(owner uuid) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(uuid_hash_extended(owner, 1));
    delete from cache where key = 'chatrooms:' || owner;
end
$$;
