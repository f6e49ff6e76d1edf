-- Takes the caller's turn to have Stripe asked, where they are a customer: once in `pause` seconds. The verdict is refresh_too_soon
-- before that, and seconds how long it takes yet. asked is when that was, by the clock that Stripe's answers are compared by.
create function api.refresh_subscription(
    caller caller, pause int, out verdict text, out customer text, out asked timestamptz, out seconds int
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    update stripe_customers p set refreshed_at = now()
    where p.user_id = caller.user_id and p.customer is not null
        and coalesce(p.refreshed_at <= now() - make_interval(secs => pause), true)
    returning p.customer into customer;
    if not found then
        select ceil(extract(epoch from p.refreshed_at + make_interval(secs => pause) - clock_timestamp())) into seconds
        from stripe_customers p where p.user_id = caller.user_id and p.customer is not null;
        if found then
            verdict := 'refresh_too_soon';
            seconds := greatest(1, seconds);
        end if;
    end if;
    asked := clock_timestamp();
end
$$;

-- Stores what Stripe said, where it was asked, and tells how things stand.
create function api.refresh_subscription_end(
    caller caller, customer text, asked timestamptz, said jsonb, grace_days int, details jsonb,
    out verdict text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if has_session(caller) then
        if said is not null then perform store_said(caller.user_id, customer, asked, said, grace_days); end if;
        json := subscription_json(caller.user_id, details);
    end if;
    if json is null then verdict := 'session_ended'; end if;
end
$$;

-- Forgets a customer who was deleted at Stripe.
create function api.refresh_subscription_forget(caller caller, customer text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    verdict := forget_payer(caller, customer);
end
$$;
