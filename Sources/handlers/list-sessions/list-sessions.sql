-- The caller's sessions that live, the one that was used last first.
create function api.list_sessions(caller caller, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select coalesce(json_agg(j order by j.last_used_at desc, j.id), '[]') into json from (
        select s.id, s.id = caller.session_id as current, s.created_at, s.last_used_at, s.ip, s.user_agent
        from sessions s
        where s.user_id = caller.user_id and lives(s)
    ) j;
end
$$;
