-- Keeps an event once, however often it comes, and has Stripe asked about its customer, where that is one of ours.
create function api.stripe_webhook(
    event text, type text, customer text, api_version text, created bigint, out verdict text
) language plpgsql security definer set search_path = public, pg_temp as $$
declare known text;
begin
    select p.customer into known from stripe_customers p where p.customer = stripe_webhook.customer;
    insert into stripe_events (id, type, customer, api_version, created_at)
    values (event, stripe_webhook.type, known, stripe_webhook.api_version, to_timestamp(created))
    on conflict (id) do nothing;
    if found and known is not null then perform queue_stripe(known); end if;
end
$$;
