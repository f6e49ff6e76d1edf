-- Whether a subscription continues, paid or not, so that another one would be paid besides.
create or replace function goes_on(s subscriptions) returns boolean language sql stable as $$
    select s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused') and coalesce(ends_at(s) > now(), true)
$$;

-- What the owner of a subscription has to do or to know: {code, detail, resumes_at}; NULL where there is nothing to say. details has
-- the sentence of each code (Subscription.notices).
create or replace function notice_json(s subscriptions, details jsonb) returns json language plpgsql stable as $$
declare code text := subscription_notice(s);
begin
    if code is null then return null; end if;
    return json_build_object(
        'code', code, 'detail', details ->> code, 'resumes_at', case code when 'collection_paused' then s.resumes_at end);
end
$$;

-- What GET /subscription/status answers: of several subscriptions the one that counts longest. NULL where the user is gone.
create or replace function subscription_json(owner uuid, details jsonb) returns json language plpgsql stable as $$
declare s subscriptions;
begin
    select * into s from subscriptions l where l.user_id = owner
    order by entitled_until(l) desc nulls last, l.created_at desc limit 1;
    return (
        select row_to_json(j) from users u cross join lateral (
            select tier(u) as tier, case when ends_at(s) <= now() then 'canceled' else s.status end as status,
                s.current_period_end, ends_at(s) as cancel_at,
                case when s.status = 'past_due' or s.current_period_end <= now() then entitled_until(s) end as grace_until,
                notice_json(s, details) as notice
        ) j where u.id = owner);
end
$$;

-- The subscriptions of the caller that go on: what is cancelled or resumed. The verdict is no_subscription where there is none.
-- - is_to_end: whether it is to end; ends_with_period: whether because that was said of its period and not of a time.
-- - is_paused: whether it is paused as a whole (status paused), so that it bills nothing until it is resumed.
create or replace function begin_change(c caller, per_minute int) returns table (
    verdict text, standing text, customer text, id text, is_to_end boolean, ends_with_period boolean, is_paused boolean
) language plpgsql as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(c, null, 'billing', per_minute) b;
    if verdict is not null then
        return next;
        return;
    end if;
    for customer, id, is_to_end, ends_with_period, is_paused in
        select p.customer, s.id, ends_at(s) is not null, s.cancel_at_period_end, s.status = 'paused'
        from stripe_customers p join subscriptions s on s.user_id = p.user_id
        where p.user_id = c.user_id and p.customer is not null and goes_on(s)
    loop
        return next;
    end loop;
    if not found then
        verdict := 'no_subscription';
        return next;
    end if;
end
$$;

-- Stores what Stripe said of the subscriptions of a customer (store_subscriptions), where that is the user's.
--
-- It locks the user. Whoever calls it must not have locked the user's session before (has_session, not is_signed_in): others lock the
-- user first.
create or replace function store_said(owner uuid, of_customer text, asked timestamptz, said jsonb, grace_days int) returns void
language plpgsql as $$
begin
    perform from stripe_customers p where p.user_id = owner and p.customer = of_customer;
    if found then perform store_subscriptions(of_customer, asked, said, grace_days); end if;
end
$$;

-- Stores what Stripe says after a change, and judges it: Stripe may know better than our rows did. The verdict is no_subscription where
-- none goes on, and subscription_paused where all stay paused that were to be resumed. is_done says whether all are now as was asked.
create or replace function end_change(
    c caller, to_end boolean, of_customer text, asked timestamptz, said jsonb, grace_days int, details jsonb,
    out verdict text, out json json, out is_done boolean
) language plpgsql as $$
declare is_paused boolean;
begin
    if not has_session(c) then
        verdict := 'session_ended';
        return;
    end if;
    perform store_said(c.user_id, of_customer, asked, said, grace_days);
    select bool_and((ends_at(s) is not null) = to_end), bool_and(s.status = 'paused') into is_done, is_paused
    from subscriptions s where s.user_id = c.user_id and goes_on(s);
    if is_done is null then
        verdict := 'no_subscription';
    elsif is_paused and not to_end then
        -- Where there is no way to pay, Stripe's no is about that.
        verdict := 'subscription_paused';
    else
        json := subscription_json(c.user_id, details);
    end if;
end
$$;

-- Forgets a customer of the caller's whom Stripe does not have any more (forget_customer). It locks the user, as store_said() does. Gives
-- the verdict.
create or replace function forget_payer(c caller, of_customer text) returns text language plpgsql as $$
begin
    if not has_session(c) then return 'session_ended'; end if;
    perform from stripe_customers p where p.user_id = c.user_id and p.customer = of_customer;
    if found then perform forget_customer(of_customer); end if;
    return null;
end
$$;

-- Holds the key of a request until the transaction ends, for work that asks somebody else between its statements (Once.holding). verdict
-- is NULL where the work is to be done now; json is what was answered the first time, where it is replayed.
--
-- The transaction lasts as long as the work, so it must hold nothing else that anybody waits for. The session's row is left to the work.
create or replace function hold_request(c caller, once once, out verdict text, out json text) language plpgsql as $$
declare kept json;
begin
    if not has_session(c) then
        verdict := 'session_ended';
        return;
    end if;
    select r.verdict, r.answer into verdict, kept from recall(c.user_id, once) r;
    if verdict = 'replayed' then
        perform is_signed_in(c);
        json := kept #>> '{}';
    end if;
end
$$;

-- Keeps the answer to a request whose key the transaction holds. Nothing is kept for an account that is being deleted, nor after the
-- session's end.
create or replace function keep_held(c caller, once once, json text, lifetime interval default '1 day') returns void
language plpgsql as $$
begin
    perform from users u where u.id = c.user_id for key share;
    if found and has_session(c) then perform keep_answer(c.user_id, once, to_json(json), lifetime); end if;
end
$$;
