-- The advisory locks, by their names. All are held until the transaction ends. Postgres puts the expression in place of each call, so a
-- name costs nothing. (The lock of whoever migrates is there before any function: Migrations.lock.)
--
-- A value never changes, for the release before may run beside this one. 2 was a user's quota: it is given to no other lock.

-- A user's rooms and messages: shared by those who write some, alone by whoever deletes them or caches the list of rooms.
create or replace function rooms_lock(owner uuid) returns bigint language sql immutable parallel safe as $$
    select uuid_hash_extended(owner, 1)
$$;

-- A request with this Idempotency-Key: until it is answered, whoever repeats it waits.
create or replace function request_lock(owner uuid, key text) returns bigint language sql immutable parallel safe as $$
    select hashtextextended(key, uuid_hash_extended(owner, 3))
$$;

-- What a user stores: one upload at a time adds to it.
create or replace function storage_lock(owner uuid) returns bigint language sql immutable parallel safe as $$
    select uuid_hash_extended(owner, 5)
$$;

-- How many shares a user has: one request at a time adds to them.
create or replace function shares_lock(owner uuid) returns bigint language sql immutable parallel safe as $$
    select uuid_hash_extended(owner, 6)
$$;

-- A user's export: there is one at a time.
create or replace function export_lock(owner uuid) returns bigint language sql immutable parallel safe as $$
    select uuid_hash_extended(owner, 40)
$$;

-- How many calls of Gemini's all workers have under way: one worker at a time claims jobs, where their number is limited.
create or replace function claims_lock() returns bigint language sql immutable parallel safe as $$
    select 7401333::bigint
$$;

-- The generations of jobs: one worker at a time opens and closes them.
create or replace function generations_lock() returns bigint language sql immutable parallel safe as $$
    select 7401334::bigint
$$;
