-- Two rules of Pro: the grace after a failed payment is counted from the first unpaid invoice, and a subscription whose invoices
-- Stripe voids (pause_collection) pays for nothing.

-- How Stripe pauses the collection of payments, in its own word (keep_as_draft, mark_uncollectible, void), and until when.
-- Source: https://docs.stripe.com/billing/subscriptions/pause-payment
alter table subscriptions add collection_pause text, add resumes_at timestamptz;

create or replace function entitled_until(s subscriptions) returns timestamptz language sql stable as $$
    select case when until is not null then least(until, ends_at(s)) end
    from (select case
        when s.collection_pause = 'void' then null
        when s.status in ('active', 'trialing') then s.current_period_end + s.grace
        when s.status = 'past_due' then s.past_due_since + s.grace
        when s.status in ('incomplete', 'incomplete_expired', 'unpaid', 'paused', 'canceled') then null
        when s.is_paid then s.current_period_end
    end as until) u
$$;

-- What the owner of a subscription has to know of it, as a stable code; NULL where all is well.
create function subscription_notice(s subscriptions) returns text language sql stable as $$
    select case
        when s.status in ('canceled', 'incomplete_expired') or ends_at(s) <= now() then null
        when s.status = 'paused' then 'subscription_paused'
        when s.collection_pause = 'void' then 'collection_paused'
        when s.status in ('past_due', 'unpaid') then 'payment_due'
    end
$$;

-- Since when a payment is due, by what is stored and what Stripe says now. Stripe tells of the latest invoice alone, and each period
-- brings another one: while the status stays, the first counts.
create function first_due(stored_status text, stored timestamptz, status text, due timestamptz) returns timestamptz
language sql immutable as $$
    select case when status = 'past_due' and stored_status = 'past_due' then least(stored, due) else due end
$$;

drop trigger subscriptions_entitle on subscriptions;
create trigger subscriptions_entitle after insert or delete or update of status, current_period_end, cancel_at,
    cancel_at_period_end, past_due_since, is_paid, grace, collection_pause on subscriptions
    for each row execute function entitle();

drop function stripe_subscriptions(jsonb);
create function stripe_subscriptions(said jsonb) returns table (
    customer text, id text, status text, price text, livemode boolean, current_period_end timestamptz, cancel_at timestamptz,
    cancel_at_period_end boolean, past_due_since timestamptz, is_paid boolean, created_at timestamptz, ended_at timestamptz,
    collection_pause text, resumes_at timestamptz
) language sql immutable as $$
    select s.customer, s.id, s.status, s.price, s.livemode, to_timestamp(s.current_period_end), to_timestamp(s.cancel_at),
        s.cancel_at_period_end, to_timestamp(s.past_due_since), s.is_paid, to_timestamp(s.created_at), to_timestamp(s.ended_at),
        s.collection_pause, to_timestamp(s.resumes_at)
    from jsonb_to_recordset(said) s (
        customer text, id text, status text, price text, livemode boolean, current_period_end float8, cancel_at float8,
        cancel_at_period_end boolean, past_due_since float8, is_paid boolean, created_at float8, ended_at float8,
        collection_pause text, resumes_at float8)
$$;

-- As before, with the rules above.
create or replace function store_subscriptions(whose text, asked timestamptz, said jsonb, grace_days int) returns boolean
language plpgsql as $$
declare
    owner uuid;
    last_asked timestamptz;
    gone int;
    changed int;
begin
    select u.id into owner from stripe_customers c join users u on u.id = c.user_id where c.customer = whose
    for no key update of u;
    select c.checked_at into last_asked from stripe_customers c where c.user_id = owner and c.customer = whose for no key update;
    if not found then return false; end if;
    if last_asked >= asked then return true; end if;
    delete from subscriptions s where s.user_id = owner and not said @> jsonb_build_array(jsonb_build_object('id', s.id));
    get diagnostics gone = row_count;
    update subscriptions s set seen_at = asked where s.user_id = owner;
    insert into subscriptions as s (user_id, id, status, price, livemode, current_period_end, cancel_at, cancel_at_period_end,
        past_due_since, is_paid, created_at, ended_at, grace, seen_at, collection_pause, resumes_at)
    select owner, t.id, t.status, t.price, t.livemode, t.current_period_end, t.cancel_at, t.cancel_at_period_end,
        first_due(o.status, o.past_due_since, t.status, t.past_due_since), t.is_paid, t.created_at, t.ended_at,
        make_interval(days => grace_days), asked, t.collection_pause, t.resumes_at
    from stripe_subscriptions(said) t left join subscriptions o on o.user_id = owner and o.id = t.id
    where t.customer = whose
    on conflict (user_id, id) do update set
        status = excluded.status, price = excluded.price, current_period_end = excluded.current_period_end,
        cancel_at = excluded.cancel_at, cancel_at_period_end = excluded.cancel_at_period_end,
        past_due_since = excluded.past_due_since, is_paid = excluded.is_paid, ended_at = excluded.ended_at,
        grace = excluded.grace, collection_pause = excluded.collection_pause, resumes_at = excluded.resumes_at
    where (s.status, s.price, s.current_period_end, s.cancel_at, s.cancel_at_period_end, s.past_due_since, s.is_paid,
            s.ended_at, s.grace, s.collection_pause, s.resumes_at)
        is distinct from (excluded.status, excluded.price, excluded.current_period_end, excluded.cancel_at,
            excluded.cancel_at_period_end, excluded.past_due_since, excluded.is_paid, excluded.ended_at, excluded.grace,
            excluded.collection_pause, excluded.resumes_at);
    get diagnostics changed = row_count;
    update stripe_customers c set checked_at = asked, agreed = gone + changed = 0 where c.user_id = owner;
    update stripe_events e set applied_at = clock_timestamp()
    where e.customer = whose and e.received_at <= asked and e.applied_at is null;
    delete from cache where key = 'invoices:' || owner;
    return true;
end
$$;

create or replace function compare_subscriptions(check_of timestamptz, asked timestamptz, said jsonb, is_last boolean) returns int
language plpgsql as $$
declare drifted text[];
begin
    select coalesce(array_agg(distinct c.customer order by c.customer), '{}') into drifted
    from stripe_subscriptions(said) t join stripe_customers c on c.customer = t.customer
    left join subscriptions s on s.user_id = c.user_id and s.id = t.id
    where (c.checked_at is null or c.checked_at < asked)
        and (s.status, s.price, s.current_period_end, s.cancel_at, s.cancel_at_period_end, s.past_due_since, s.is_paid, s.ended_at,
            s.collection_pause, s.resumes_at)
        is distinct from (t.status, t.price, t.current_period_end, t.cancel_at, t.cancel_at_period_end,
            first_due(s.status, s.past_due_since, t.status, t.past_due_since), t.is_paid, t.ended_at, t.collection_pause,
            t.resumes_at);
    update subscriptions s set seen_at = asked from stripe_subscriptions(said) t join stripe_customers c on c.customer = t.customer
    where s.user_id = c.user_id and s.id = t.id and s.seen_at < asked;
    if is_last then
        drifted := array(
            select unnest(drifted)
            union select c.customer from subscriptions s join stripe_customers c on c.user_id = s.user_id
            where s.seen_at < check_of order by 1);
    end if;
    perform queue_stripe(d) from unnest(drifted) d;
    insert into stripe_checks as k (started_at, compared, drifted, finished_at)
    values (check_of, jsonb_array_length(said), cardinality(drifted), case when is_last then clock_timestamp() end)
    on conflict (started_at) do update set
        compared = k.compared + excluded.compared, drifted = k.drifted + excluded.drifted, finished_at = excluded.finished_at;
    return cardinality(drifted);
end
$$;
