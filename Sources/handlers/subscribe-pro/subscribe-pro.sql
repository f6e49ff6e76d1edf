-- How far the caller is on the way to Pro. Whoever looks first makes the rows whose ids are Stripe's keys of idempotency.
--
-- The verdict is why they may not buy, as our rows have it: they are Pro, or have a subscription that waits for a payment. Stripe may
-- know better, so it is only given once Stripe was asked (has_asked) or has nobody to be asked about. asked is when this was, by the
-- clock that Stripe's answers are compared by.
create function api.subscribe_pro(
    caller caller, per_minute int, has_asked boolean, out verdict text, out standing text,
    out customer text, out attempt uuid, out checkout uuid, out session text, out is_pro boolean, out asked timestamptz
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
    u users;
    s subscriptions;
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'billing', per_minute) b;
    if verdict is not null then return; end if;
    -- Nobody deletes the account until the rows are made.
    select * into u from users where id = caller.user_id for key share;
    if not found then
        verdict := 'session_ended';
        return;
    end if;
    is_pro := tier(u) = 'pro';
    insert into stripe_customers as p (user_id) values (u.id)
    on conflict (user_id) do update set customer = p.customer returning p.customer, p.attempt into customer, attempt;
    insert into checkouts as k (user_id) values (u.id)
    on conflict (user_id) do update set session = k.session returning k.id, k.session into checkout, session;

    if has_asked or customer is null then
        select * into s from subscriptions l where l.user_id = u.id and goes_on(l) order by l.created_at desc limit 1;
        verdict := case
            when is_pro then 'already_pro'
            when s.id is not null then coalesce(subscription_notice(s), 'payment_due')
        end;
    end if;
    asked := clock_timestamp();
end
$$;

-- Keeps the customer that Stripe made under the key `attempt`. NULL where it made none and would say so again: another key is made.
--
-- It does not matter whether the session lives: what was made at Stripe must not be lost sight of.
create function api.subscribe_pro_customer(caller caller, attempt uuid, customer text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if subscribe_pro_customer.customer is null then
        update stripe_customers p set attempt = gen_random_uuid()
        where p.user_id = caller.user_id and p.attempt = subscribe_pro_customer.attempt and p.customer is null;
        return;
    end if;
    update stripe_customers p set customer = subscribe_pro_customer.customer
    where p.user_id = caller.user_id and p.attempt = subscribe_pro_customer.attempt;
    -- Whose account went meanwhile, or got another customer, is deleted there too.
    if not found then perform queue_stripe(subscribe_pro_customer.customer, '{"deletes": true}'); end if;
end
$$;

-- Keeps the page that Stripe made under the key `checkout`. NULL where there is none that can be paid at: whoever asks next has another
-- one made.
create function api.subscribe_pro_checkout(caller caller, checkout uuid, session text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    update checkouts k set
        id = case when subscribe_pro_checkout.session is null then gen_random_uuid() else k.id end,
        session = subscribe_pro_checkout.session
    where k.user_id = caller.user_id and k.id = checkout;
end
$$;

-- Stores what Stripe said of the caller's subscriptions.
create function api.subscribe_pro_store(
    caller caller, customer text, asked timestamptz, said jsonb, grace_days int, out verdict text
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not has_session(caller) then
        verdict := 'session_ended';
        return;
    end if;
    perform store_said(caller.user_id, customer, asked, said, grace_days);
end
$$;

-- Forgets a customer who was deleted at Stripe, or belongs to another account or mode than the key: another one is made.
create function api.subscribe_pro_forget(caller caller, customer text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    verdict := forget_payer(caller, customer);
end
$$;

-- Holds the key while Stripe is asked for a page.
create function api.subscribe_pro_begin(caller caller, once once, out verdict text, out json text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select h.verdict, h.json into verdict, json from hold_request(caller, once) h;
end
$$;

-- Keeps the page.
create function api.subscribe_pro_end(caller caller, once once, page text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    perform keep_held(caller, once, page);
end
$$;
