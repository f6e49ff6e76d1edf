-- The caller as a customer of Stripe's.
create function api.subscription_portal(caller caller, per_minute int, out verdict text, out standing text, out customer text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'billing', per_minute) b;
    if verdict is not null then return; end if;
    select p.customer into customer from stripe_customers p where p.user_id = caller.user_id;
    if customer is null then verdict := 'no_subscription'; end if;
end
$$;

-- Holds the key while Stripe is asked for a link.
create function api.subscription_portal_begin(caller caller, once once, out verdict text, out json text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select h.verdict, h.json into verdict, json from hold_request(caller, once) h;
end
$$;

-- Keeps the link. One that nobody has opened expires at Stripe after some minutes; another costs nothing and changes nothing.
create function api.subscription_portal_end(caller caller, once once, link text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    perform keep_held(caller, once, link, '1 minute');
end
$$;

-- Forgets a customer who was deleted at Stripe.
create function api.subscription_portal_forget(caller caller, customer text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    verdict := forget_payer(caller, customer);
end
$$;
