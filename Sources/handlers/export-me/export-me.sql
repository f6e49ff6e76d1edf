-- Whether an export may begin, which is recorded. A user has one at a time: the transaction that reads it holds a lock.
create function api.export_me(
    caller caller, per_minute int, address inet, agent text, out verdict text, out standing text
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'export', per_minute) b;
    if verdict is not null then return; end if;
    if pg_try_advisory_xact_lock(export_lock(caller.user_id)) then
        perform record_event(caller.user_id, 'exported', address, agent);
    else
        verdict := 'export_running';
    end if;
end
$$;

-- Whether the caller may read it now: the transaction only reads, and holds the lock.
create function api.export_me_open(caller caller, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    verdict := case
        when not has_session(caller) then 'session_ended'
        when not pg_try_advisory_xact_lock(export_lock(caller.user_id)) then 'export_running'
    end;
end
$$;

-- All that is kept of the caller, an object of JSON each. It is of SQL, so that Postgres makes a row only when it is fetched.
create function api.export_me_lines(caller caller) returns setof text
language sql stable security definer set search_path = public, pg_temp as $$
    select l.line from (
        select * from exported_account(caller.user_id)
        union all select * from exported_chat(caller.user_id)
        union all select * from exported_plan(caller.user_id)
    ) l (line)
    where (select has_session(caller))
$$;
