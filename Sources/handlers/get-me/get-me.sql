-- The caller, as they see themselves.
--
-- It has no search_path of its own, which costs up to a tenth: whoever may call it must not be able to make a table.
create function api.get_me(caller caller, out verdict text, out json json)
language plpgsql security definer as $$
begin
    -- Nearly always by one statement (lives).
    select j.json into json
    from sessions s join users u on u.id = s.user_id cross join lateral user_json(u) j
    where s.user_id = caller.user_id and s.id = caller.session_id and lives(s) and not s.is_unused;
    if found then return; end if;
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select j.json into json from users u cross join lateral user_json(u) j where u.id = caller.user_id;
end
$$;
