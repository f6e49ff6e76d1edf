-- Pro: who pays for it through Stripe, and to whom the operator gave it.
--
-- Stripe is right about subscriptions. Our rows are what it said when it was last asked, and store_subscriptions() alone writes
-- them; events only say that it is time to ask. Who is Pro follows from the rows and the clock, in one column of users.

-- Until when, as things stand, the user is Pro: entitle() keeps it.
alter table users drop column tier, add pro_until timestamptz;

create table stripe_customers (
    user_id uuid primary key references users on delete cascade,
    -- Stripe's id; NULL until it has made one.
    customer text constraint stripe_customers_customer_key unique,
    -- Under which Stripe is asked to make one, the Idempotency-Key of all who ask at once: another one after its no.
    attempt uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now(),
    -- When the user last had us ask.
    refreshed_at timestamptz,
    -- When Stripe was asked for what is stored, and whether it said what was stored before.
    checked_at timestamptz,
    agreed boolean
);

create table subscriptions (
    user_id uuid not null references stripe_customers on delete cascade,
    id text not null,
    status text not null,
    price text,
    livemode boolean not null,
    current_period_end timestamptz,
    cancel_at timestamptz,
    cancel_at_period_end boolean not null,
    -- Since when a payment is due; whether the last invoice is paid.
    past_due_since timestamptz,
    is_paid boolean not null,
    created_at timestamptz not null,
    ended_at timestamptz,
    -- For how long after that it still counts: STRIPE_GRACE_DAYS at that time.
    grace interval not null,
    -- When Stripe last showed it, for what it no longer shows.
    seen_at timestamptz not null,
    primary key (user_id, id)
);
create index subscriptions_seen on subscriptions (seen_at);

-- What the operator gave.
create table pro_grants (
    user_id uuid primary key references users on delete cascade,
    until timestamptz not null,
    granted_at timestamptz not null default now()
);

-- The payment page that a user was last sent to. Its id is Stripe's Idempotency-Key, so that all who ask at once are sent to one.
create table checkouts (
    user_id uuid primary key references users on delete cascade,
    id uuid not null default gen_random_uuid(),
    session text,
    created_at timestamptz not null default now()
);

-- Every event that came, once.
create table stripe_events (
    id text primary key,
    type text not null,
    customer text,
    api_version text,
    created_at timestamptz not null,
    received_at timestamptz not null default now(),
    -- When what Stripe said after it was stored.
    applied_at timestamptz
);
create index stripe_events_of_customer on stripe_events (customer, received_at);
create index stripe_events_received on stripe_events (received_at);

-- The daily comparisons of all subscriptions with Stripe: how many it showed, and how many customers' rows were not equal.
create table stripe_checks (
    started_at timestamptz primary key,
    finished_at timestamptz,
    compared int not null default 0,
    drifted int not null default 0
);

create index jobs_stripe on jobs (run_at) where state = 'ready' and kind = 'stripe';

-- When a subscription that is to end does.
create function ends_at(s subscriptions) returns timestamptz language sql immutable as $$
    select case when s.cancel_at_period_end then least(s.cancel_at, s.current_period_end) else s.cancel_at end
$$;

-- Until when a subscription makes its owner Pro; NULL where it does not. A renewal takes Stripe an hour and an event may be late, so
-- one that goes on counts a while longer than what is paid; one that is to end does so on the instant. A status that is not
-- known counts for what is paid.
create function entitled_until(s subscriptions) returns timestamptz language sql stable as $$
    select case when until is not null then least(until, ends_at(s)) end
    from (select case
        when s.status in ('active', 'trialing') then s.current_period_end + s.grace
        when s.status = 'past_due' then s.past_due_since + s.grace
        when s.status in ('incomplete', 'incomplete_expired', 'unpaid', 'paused', 'canceled') then null
        when s.is_paid then s.current_period_end
    end as until) u
$$;

-- Part of every change of what makes somebody Pro. The user is locked first, so that of two changes the second sees the first.
create function entitle() returns trigger language plpgsql as $$
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
create trigger subscriptions_entitle after insert or delete or update of status, current_period_end, cancel_at,
    cancel_at_period_end, past_due_since, is_paid, grace on subscriptions for each row execute function entitle();
create trigger pro_grants_entitle after insert or update or delete on pro_grants for each row execute function entitle();

-- Has Stripe asked about a customer: one job for each, which is done again where there is more to ask once it runs. Who queues
-- locks it until the commit, so whatever has happened at Stripe by then is seen by the run that follows.
create function queue_stripe(customer text, note jsonb default '{}') returns void language sql as $$
    insert into jobs as j (user_id, lane, id, kind, payload)
    select k.key, k.key, k.key, 'stripe', jsonb_build_object('customer', customer) || note
    from (select md5('stripe:' || customer)::uuid as key) k
    on conflict (user_id, lane, id) do update set
        payload = j.payload || note || '{"again": true}',
        state = case j.state when 'waiting' then 'ready' else j.state end, run_at = now()
$$;

-- What Stripe says of subscriptions, as rows; times come as seconds since 1970.
create function stripe_subscriptions(said jsonb) returns table (
    customer text, id text, status text, price text, livemode boolean, current_period_end timestamptz, cancel_at timestamptz,
    cancel_at_period_end boolean, past_due_since timestamptz, is_paid boolean, created_at timestamptz, ended_at timestamptz
) language sql immutable as $$
    select s.customer, s.id, s.status, s.price, s.livemode, to_timestamp(s.current_period_end), to_timestamp(s.cancel_at),
        s.cancel_at_period_end, to_timestamp(s.past_due_since), s.is_paid, to_timestamp(s.created_at), to_timestamp(s.ended_at)
    from jsonb_to_recordset(said) s (
        customer text, id text, status text, price text, livemode boolean, current_period_end float8, cancel_at float8,
        cancel_at_period_end boolean, past_due_since float8, is_paid boolean, created_at float8, ended_at float8)
$$;

-- Makes our rows of a customer equal to all that Stripe said of them, unless what is stored was asked for later. False where there
-- is nobody to store it for. Locked in this order, here and where accounts are deleted: the user, then what is theirs.
create function store_subscriptions(whose text, asked timestamptz, said jsonb, grace_days int) returns boolean
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
        past_due_since, is_paid, created_at, ended_at, grace, seen_at)
    select owner, t.id, t.status, t.price, t.livemode, t.current_period_end, t.cancel_at, t.cancel_at_period_end,
        t.past_due_since, t.is_paid, t.created_at, t.ended_at, make_interval(days => grace_days), asked
    from stripe_subscriptions(said) t where t.customer = whose
    on conflict (user_id, id) do update set
        status = excluded.status, price = excluded.price, current_period_end = excluded.current_period_end,
        cancel_at = excluded.cancel_at, cancel_at_period_end = excluded.cancel_at_period_end,
        past_due_since = excluded.past_due_since, is_paid = excluded.is_paid, ended_at = excluded.ended_at,
        grace = excluded.grace
    where (s.status, s.price, s.current_period_end, s.cancel_at, s.cancel_at_period_end, s.past_due_since, s.is_paid,
            s.ended_at, s.grace)
        is distinct from (excluded.status, excluded.price, excluded.current_period_end, excluded.cancel_at,
            excluded.cancel_at_period_end, excluded.past_due_since, excluded.is_paid, excluded.ended_at, excluded.grace);
    get diagnostics changed = row_count;
    update stripe_customers c set checked_at = asked, agreed = gone + changed = 0 where c.user_id = owner;
    update stripe_events e set applied_at = clock_timestamp()
    where e.customer = whose and e.received_at <= asked and e.applied_at is null;
    delete from cache where key = 'invoices:' || owner;
    return true;
end
$$;

-- Compares a page of all subscriptions with our rows, and has Stripe asked about each customer whose rows are not equal. After the
-- last page, about those too whose rows it did not show. How many customers that were.
create function compare_subscriptions(check_of timestamptz, asked timestamptz, said jsonb, is_last boolean) returns int
language plpgsql as $$
declare drifted text[];
begin
    select coalesce(array_agg(distinct c.customer order by c.customer), '{}') into drifted
    from stripe_subscriptions(said) t join stripe_customers c on c.customer = t.customer
    left join subscriptions s on s.user_id = c.user_id and s.id = t.id
    where (c.checked_at is null or c.checked_at < asked)
        and (s.status, s.price, s.current_period_end, s.cancel_at, s.cancel_at_period_end, s.past_due_since, s.is_paid, s.ended_at)
        is distinct from (t.status, t.price, t.current_period_end, t.cancel_at, t.cancel_at_period_end, t.past_due_since,
            t.is_paid, t.ended_at);
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
create function leave_stripe() returns trigger language plpgsql as $$
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
create trigger users_leave_stripe before delete on users for each row execute function leave_stripe();
