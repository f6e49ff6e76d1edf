-- Changes what is named of the caller. zone is NULL where it stays.
create function api.update_me(
    caller caller, per_minute int, names_name boolean, new_name text, zone text, names_days boolean, new_days int,
    out verdict text, out standing text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare changed users;
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'account', per_minute) b;
    if verdict is not null then return; end if;
    -- That Postgres knows the zone is seen from its being used: to look for it in pg_timezone_names takes 20 ms.
    if zone is not null then perform change_timezone(caller.user_id, zone); end if;
    update users u set
        username = case when names_name then new_name else u.username end,
        retention_days = case when names_days then new_days else u.retention_days end
    where u.id = caller.user_id
    returning * into changed;
    -- The account was deleted meanwhile.
    if not found then
        verdict := 'session_ended';
        return;
    end if;
    if names_days then update chatrooms r set sweep_at = now() where r.user_id = caller.user_id; end if;
    select j.json into json from user_json(changed) j;
exception when invalid_parameter_value then
    -- All is undone, the count of the request included; standing still tells of it.
    verdict := 'timezone_unknown';
end
$$;
