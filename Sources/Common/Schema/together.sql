-- Whoever repeats a request while it is being carried out waits here for two seconds. In a transaction that is shared with other requests,
-- which is told by its lock_timeout (Database.runTogether), nobody waits: the others would too, and of two such transactions each might
-- wait for the other.
create or replace function is_first(owner uuid, idempotency_key text) returns boolean language plpgsql as $$
declare
    key_lock bigint := hashtextextended(idempotency_key, uuid_hash_extended(owner, 3));
begin
    if not pg_try_advisory_xact_lock(key_lock) then
        if current_setting('lock_timeout') <> '0' then
            raise lock_not_available using message = 'a request with this key is being carried out';
        end if;
        perform wait_for_key(key_lock);
    end if;
    return not exists (
        select from idempotency_keys k
        where k.user_id = owner and k.key = idempotency_key and k.expires_at > now());
end
$$;

create function wait_for_key(key_lock bigint) returns void language plpgsql set lock_timeout = '2s' as $$
begin
    perform pg_advisory_xact_lock(key_lock);
end
$$;
