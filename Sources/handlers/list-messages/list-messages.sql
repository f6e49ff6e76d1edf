-- The messages on the branch that a room shows, the newest first, at most so many, from before the message `before` on.
create function api.list_messages(caller caller, room uuid, before uuid, most int)
returns table (verdict text, place text, entry json) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        return query select 'session_ended', '', null::json;
        return;
    end if;
    return query select * from page_of_messages(caller.user_id, room, before, most);
end
$$;
