-- The list of the caller's invoices, where one is kept, or whom to ask Stripe for. asked is when that was, by Postgres's clock.
create function api.list_invoices(
    caller caller, per_minute int, out verdict text, out standing text, out customer text, out cached text, out asked timestamptz
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'billing', per_minute) b;
    if verdict is not null then return; end if;
    select k.value into cached from cache k where k.key = 'invoices:' || caller.user_id and k.expires_at > now();
    select p.customer into customer from stripe_customers p where p.user_id = caller.user_id;
    asked := clock_timestamp();
end
$$;

-- Makes a list of the invoices that Stripe showed, and keeps it, unless there was something new of them meanwhile; store_subscriptions()
-- forgets it.
create function api.list_invoices_end(
    caller caller, asked timestamptz, invoices jsonb, out verdict text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not has_session(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select json_build_object('invoices', coalesce(json_agg(json_build_object(
        'id', i.id, 'number', i.number, 'status', i.status, 'amount', i.total, 'currency', i.currency,
        'created_at', to_timestamp(i.created), 'hosted_url', i.hosted_invoice_url)), '[]'))
    into json
    from jsonb_to_recordset(invoices) i (
        id text, number text, status text, total bigint, currency text, created float8, hosted_invoice_url text);
    perform from stripe_customers p
    where p.user_id = caller.user_id and coalesce(p.checked_at < list_invoices_end.asked, true) for key share;
    if found then
        insert into cache as k (key, value, expires_at)
        values ('invoices:' || caller.user_id, json, now() + interval '5 minutes')
        on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at;
    end if;
end
$$;

-- Forgets a customer who was deleted at Stripe.
create function api.list_invoices_forget(caller caller, customer text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    verdict := forget_payer(caller, customer);
end
$$;
