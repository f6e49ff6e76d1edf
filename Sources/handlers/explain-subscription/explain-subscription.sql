-- Why the caller is on the plan that they are on: what Stripe said, what the operator gave, which events came.
create function api.explain_subscription(caller caller, details jsonb, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select row_to_json(j) into json
    from users u
    left join stripe_customers c on c.user_id = u.id
    left join pro_grants g on g.user_id = u.id
    cross join lateral (select md5('stripe:' || c.customer)::uuid as key) k
    cross join lateral (select
        tier(u) as tier, nullif(u.pro_until, 'infinity') as pro_until,
        case when u.pro_until > now() then case when g.until = u.pro_until then 'grant' else 'subscription' end end
            as because_of,
        c.customer, c.checked_at as last_checked_at, c.agreed as agreed_then,
        (select json_build_object('queued_at', q.run_at, 'attempts', q.attempts) from jobs q
            where q.user_id = k.key and q.lane = k.key and q.id = k.key) as next_check,
        (select json_build_object('until', nullif(g.until, 'infinity'), 'granted_at', g.granted_at)
            where g.until is not null) as grant,
        (select coalesce(json_agg(l order by l.created_at desc), '[]') from (
            select s.id, s.status, s.price, s.livemode, s.current_period_end, s.cancel_at, s.cancel_at_period_end,
                s.past_due_since, case when s.status = 'past_due' then s.past_due_since + s.grace end as grace_until,
                entitled_until(s) as pro_until, s.created_at, s.ended_at, s.collection_pause, s.resumes_at,
                notice_json(s, details) as notice
            from subscriptions s where s.user_id = u.id
        ) l) as subscriptions,
        (select coalesce(json_agg(l), '[]') from (
            select e.id, e.type, e.api_version, e.created_at, e.received_at, e.applied_at from stripe_events e
            where e.customer = c.customer order by e.received_at desc limit 10
        ) l) as events
    ) j
    where u.id = caller.user_id;
    if json is null then verdict := 'session_ended'; end if;
end
$$;
