-- When a subscription that is to end does.
create or replace function ends_at(s subscriptions) returns timestamptz language sql immutable as $$
    select case when s.cancel_at_period_end then least(s.cancel_at, s.current_period_end) else s.cancel_at end
$$;

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

-- Part of every change of what makes somebody Pro. The user is locked first, so that of two changes the second sees the first.
create or replace function entitle() returns trigger language plpgsql as $$
declare owner uuid := coalesce(new.user_id, old.user_id);
begin
    perform from users u where u.id = owner for no key update;
    update users u set pro_until = (
        select max(e.until) from (
            select entitled_until(s) from subscriptions s where s.user_id = owner
            union all select g.until from pro_grants g where g.user_id = owner
        ) e (until)
    ) where u.id = owner;
    return null;
end
$$;

-- Has Stripe asked about a customer: one job for each, which is done again where there is more to ask once it runs. Who queues
-- locks it until the commit, so whatever has happened at Stripe by then is seen by the run that follows.
create or replace function queue_stripe(customer text, note jsonb default '{}') returns void language sql as $$
    insert into jobs as j (user_id, lane, id, kind, payload)
    select k.key, k.key, k.key, 'stripe', jsonb_build_object('customer', customer) || note
    from (select md5('stripe:' || customer)::uuid as key) k
    on conflict (user_id, lane, id) do update set
        payload = j.payload || note || '{"again": true}',
        state = case j.state when 'waiting' then 'ready' else j.state end, run_at = now()
$$;

create or replace function stripe_subscriptions(said jsonb) returns table (
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

-- Makes our rows of a customer equal to all that Stripe said of them, unless what is stored was asked for later. False where there
-- is nobody to store it for. Locked in this order, here and where accounts are deleted: the user, then what is theirs.
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

-- Part of every deletion of an account: Stripe is told to delete the customer, which ends what they pay for at once, by a job that
-- belongs to no user any more and holds the customer's id alone.
create or replace function leave_stripe() returns trigger language plpgsql as $$
declare paying text;
begin
    select c.customer into paying from stripe_customers c where c.user_id = old.id;
    if paying is not null then
        delete from stripe_events where customer = paying;
        perform queue_stripe(paying, '{"deletes": true}');
    end if;
    delete from cache where key = 'invoices:' || old.id;
    return old;
end
$$;

-- What the owner of a subscription has to know of it, as a stable code; NULL where all is well.
create or replace function subscription_notice(s subscriptions) returns text language sql stable as $$
    select case
        when s.status in ('canceled', 'incomplete_expired') or ends_at(s) <= now() then null
        when s.status = 'paused' then 'subscription_paused'
        when s.collection_pause = 'void' then 'collection_paused'
        when s.status in ('past_due', 'unpaid') then 'payment_due'
    end
$$;

-- Since when a payment is due, by what is stored and what Stripe says now. Stripe tells of the latest invoice alone, and each period
-- brings another one: while the status stays, the first counts.
create or replace function first_due(stored_status text, stored timestamptz, status text, due timestamptz) returns timestamptz
language sql immutable as $$
    select case when status = 'past_due' and stored_status = 'past_due' then least(stored, due) else due end
$$;

-- Forgets a customer who is deleted at Stripe, with their subscriptions and the page they would have paid at, so that the next
-- purchase makes another. Whether there was one. Locks in the order of store_subscriptions(): the user, then what is theirs.
create or replace function forget_customer(whose text) returns boolean language plpgsql as $$
declare owner uuid;
begin
    select u.id into owner from stripe_customers c join users u on u.id = c.user_id where c.customer = whose
    for no key update of u;
    delete from stripe_customers c where c.user_id = owner and c.customer = whose;
    if not found then return false; end if;
    delete from checkouts k where k.user_id = owner;
    update stripe_events e set applied_at = clock_timestamp() where e.customer = whose and e.applied_at is null;
    delete from cache where key = 'invoices:' || owner;
    return true;
end
$$;
