-- What came of requests that carried an Idempotency-Key, for a day: written in the transaction of the work itself.
create table idempotency_keys (
    user_id uuid not null,
    key text not null,
    endpoint text not null, -- with the ids of its path
    body_hash text not null,
    answer json not null,
    created_at timestamptz not null default now(),
    primary key (user_id, key)
);
create index idempotency_keys_over on idempotency_keys (created_at);

-- Whether nothing has come yet of the caller's request with this key. Whoever carries the same key waits here, before any work,
-- until the transaction that asked first has ended, and then finds what it left: an answer, or nothing, and its turn to try.
--
-- A function, because what is looked for after the wait has to be what was committed meanwhile. Who waits for longer than
-- lock_timeout is refused with 55P03.
create function is_first(owner uuid, idempotency_key text) returns boolean language plpgsql set lock_timeout = '2s' as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(idempotency_key, uuid_hash_extended(owner, 3)));
    return not exists (
        select from idempotency_keys k
        where k.user_id = owner and k.key = idempotency_key and k.created_at > now() - interval '1 day');
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
    delete from messages where user_id = owner;
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
