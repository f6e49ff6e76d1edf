-- Forgets a customer who is deleted at Stripe, with their subscriptions and the page they would have paid at, so that the next
-- purchase makes another. Whether there was one. Locks in the order of store_subscriptions(): the user, then what is theirs.
create function forget_customer(whose text) returns boolean language plpgsql as $$
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
