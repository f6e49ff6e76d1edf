-- An answer is given again for as long as it is of use to whoever repeats the request: a day, unless an endpoint says less.
alter table idempotency_keys add expires_at timestamptz not null default now() + interval '1 day';
update idempotency_keys set expires_at = created_at + interval '1 day';
alter table idempotency_keys drop created_at;
create index idempotency_keys_over on idempotency_keys (expires_at);

-- As before, by that time.
create or replace function is_first(owner uuid, idempotency_key text) returns boolean
language plpgsql set lock_timeout = '2s' as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(idempotency_key, uuid_hash_extended(owner, 3)));
    return not exists (
        select from idempotency_keys k
        where k.user_id = owner and k.key = idempotency_key and k.expires_at > now());
end
$$;
