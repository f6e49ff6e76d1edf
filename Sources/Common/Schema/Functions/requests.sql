-- Counts a request of a kind. Of the user's that are sent at a steady pace, all pass; at once, as many as a minute's worth.
--
-- verdict is rate_limited where it is one too many. standing is how the limit stands then, in words: kind, requests in a minute, how
-- many are left, seconds until there is another (RateLimit.swift).
create or replace function count_request(owner uuid, of_kind text, per_minute int, out verdict text, out standing text)
language plpgsql as $$
declare
    step interval := interval '1 minute' / per_minute;
    at timestamptz := clock_timestamp();
    ahead interval;
begin
    insert into request_rates as r (user_id, kind, free_at) values (owner, of_kind, at + step)
    on conflict (user_id, kind) do update set free_at = greatest(r.free_at, at) + step
        where r.free_at <= at + interval '1 minute' - step
    returning r.free_at - at into ahead;
    if ahead is null then
        verdict := 'rate_limited';
        ahead := (select r.free_at - at + step - interval '1 minute' from request_rates r
            where r.user_id = owner and r.kind = of_kind);
        standing := format('%s %s 0 %s', of_kind, per_minute, greatest(1, ceil(extract(epoch from ahead))::int));
    else
        standing := format('%s %s %s %s', of_kind, per_minute,
            floor(extract(epoch from interval '1 minute' - ahead) / extract(epoch from step))::int,
            ceil(extract(epoch from ahead))::int);
    end if;
end
$$;

-- What came of a request the first time. verdict is NULL where this is the first: until the transaction ends, whoever repeats it
-- waits here. It is replayed where there is an answer; idempotency_mismatch where the key is another request's;
-- idempotency_running where the first is still being carried out, after two seconds, or at once where may_wait is false.
create or replace function recall(
    owner uuid, once once, may_wait boolean default true, out verdict text, out answer json
) language plpgsql as $$
declare
    key_lock bigint := request_lock(owner, once.key);
begin
    if not pg_try_advisory_xact_lock(key_lock) then
        verdict := 'idempotency_running';
        if not may_wait then return; end if;
        begin
            perform wait_for_key(key_lock);
        exception when lock_not_available then
            return;
        end;
    end if;
    select k.verdict, k.answer into verdict, answer from kept_answer(owner, once) k;
end
$$;

-- The same, waiting for nobody: what is there now.
create or replace function kept_answer(owner uuid, once once, out verdict text, out answer json) language plpgsql as $$
declare k idempotency_keys;
begin
    select * into k from idempotency_keys where user_id = owner and key = once.key and expires_at > now();
    if not found then return; end if;
    if k.endpoint = once.endpoint and k.body_hash = once.body_hash then
        verdict := 'replayed';
        answer := k.answer;
    else
        verdict := 'idempotency_mismatch';
    end if;
end
$$;

-- Keeps what came of a request, for whoever repeats it.
create or replace function keep_answer(owner uuid, once once, answer json, lifetime interval default '1 day')
returns void language plpgsql as $$
begin
    -- What is there already is over.
    insert into idempotency_keys as k (user_id, key, endpoint, body_hash, answer, expires_at)
    values (owner, once.key, once.endpoint, once.body_hash, answer, now() + lifetime)
    on conflict (user_id, key) do update set endpoint = excluded.endpoint, body_hash = excluded.body_hash,
        answer = excluded.answer, expires_at = excluded.expires_at;
end
$$;

-- What most protected endpoints begin with: whether the caller's session lives, whether the request was carried out before, where it
-- may be repeated (once), and whether it is one too many, where its kind is limited (per_minute is not 0). verdict is NULL where it is
-- to be carried out now.
create or replace function begin_request(
    c caller, once once, of_kind text, per_minute int, out verdict text, out standing text, out kept json
) language plpgsql as $$
begin
    if not is_signed_in(c) then
        verdict := 'session_ended';
        return;
    end if;
    if once.key is not null then
        select * into verdict, kept from recall(c.user_id, once);
        if verdict is not null then return; end if;
    end if;
    if per_minute > 0 then
        select * into verdict, standing from count_request(c.user_id, of_kind, per_minute);
    end if;
end
$$;

create or replace function wait_for_key(key_lock bigint) returns void language plpgsql set lock_timeout = '2s' as $$
begin
    perform pg_advisory_xact_lock(key_lock);
end
$$;
