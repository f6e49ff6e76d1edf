-- What the caller has used of their day. The limits are messages in a day, of basic and of pro; 0 is as many as they like.
create function api.get_usage(caller caller, per_day_of_basic int, per_day_of_pro int, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    instant timestamptz := clock_timestamp();
    u users;
    d usage_days;
    today date;
    most int;
    used int;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select * into u from users where id = caller.user_id;
    today := day_of(u, instant);
    select * into d from usage_days c where c.user_id = u.id and c.day = today;
    most := nullif(case tier(u) when 'pro' then per_day_of_pro else per_day_of_basic end, 0);
    used := used_in_day(u.id, today) + coalesce(d.carried, 0);
    json := json_build_object(
        'tier', tier(u),
        'daily', json_build_object(
            'limit', most, 'used', used, 'remaining', most - least(most, used), 'resets_at', day_end(u, instant)),
        'tokens', json_build_object(
            'prompt', coalesce(d.prompt_tokens, 0), 'output', coalesce(d.output_tokens, 0),
            'total', coalesce(d.total_tokens, 0)));
end
$$;
