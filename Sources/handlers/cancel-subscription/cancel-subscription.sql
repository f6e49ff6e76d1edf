-- The subscriptions of the caller that are to end with their period.
create function api.cancel_subscription(caller caller, per_minute int) returns table (
    verdict text, standing text, customer text, id text, is_to_end boolean, ends_with_period boolean, is_paused boolean
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    return query select * from begin_change(caller, per_minute);
end
$$;

-- When Stripe is asked what it has now, by the clock that its answers are compared by (store_subscriptions).
create function api.cancel_subscription_asks(out verdict text, out asked timestamptz)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    asked := clock_timestamp();
end
$$;

-- Stores what Stripe said then, and judges it.
create function api.cancel_subscription_end(
    caller caller, customer text, asked timestamptz, said jsonb, grace_days int, details jsonb,
    out verdict text, out json json, out is_done boolean
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select e.verdict, e.json, e.is_done into verdict, json, is_done
    from end_change(caller, true, customer, asked, said, grace_days, details) e;
end
$$;

-- Forgets a customer who was deleted at Stripe.
create function api.cancel_subscription_forget(caller caller, customer text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    verdict := forget_payer(caller, customer);
end
$$;
