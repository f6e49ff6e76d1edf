-- What happened to the caller's account, the newest first, at most so many, from before the event `before` on.
create function api.list_security_events(caller caller, before uuid, most int)
returns table (verdict text, place text, entry json) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        return query select 'session_ended', '', null::json;
        return;
    end if;
    return query
        select null, e.id::text, (select row_to_json(j) from (
            select e.id, e.kind, e.ip, e.user_agent, e.detail, e.created_at
        ) j)
        from security_events e
        where e.user_id = caller.user_id and e.id < coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        order by e.id desc limit most;
end
$$;
