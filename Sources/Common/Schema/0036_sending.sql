-- What sending a message costs Postgres, without what it did twice.

-- A uuidv7 that is `after` quarters of a microsecond later. `entropy` is the rest of it, from the fourth hyphen on: the ids of a message
-- and of its reply have it from one call of the generator.
create function uuidv7(at timestamptz, after int, entropy text) returns uuid language sql stable parallel safe as $$
    select (
        lpad(to_hex((floor(date_part('epoch', at) * 1000))::bigint), 12, '0')
        || to_hex(28672 + (date_part('microseconds', at)::int % 1000) * 4096 / 1000 + after)
        || entropy
    )::uuid
$$;

create or replace function uuidv7(at timestamptz) returns uuid language sql volatile parallel safe as $$
    select uuidv7(at, 0, right(gen_random_uuid()::text, 17))
$$;

-- As before, in one statement after the lock.
create or replace function message_arrives(owner uuid, room uuid) returns void strict language plpgsql as $$
declare
    locked text := pg_advisory_xact_lock_shared(uuid_hash_extended(owner, 1));
    is_there bool;
begin
    with forgotten as (delete from cache where key = 'chatrooms:' || owner)
    select true into is_there from chatrooms where user_id = owner and id = room and deleted_at is null;
    if not found then
        raise foreign_key_violation using constraint = 'messages_chatroom', message = 'the room was deleted';
    end if;
end
$$;

-- Of a partial index Postgres reads the condition anew for each statement that inserts. One is enough for the jobs that ask others than
-- Gemini, and one for all messages that are more than a text.
drop index jobs_otps, jobs_stripe;
create index jobs_others on jobs (kind, run_at) where state = 'ready' and kind in ('otp', 'stripe');
drop index messages_attachments, messages_variants;
create index messages_variants on messages (user_id, chatroom_id, variant_of)
where variant_of is not null or attachments is not null;
