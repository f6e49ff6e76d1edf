-- The messages on the branch that a room shows, the newest first, at most so many, from before the message `before` on.
create function api.list_messages(caller caller, room uuid, before uuid, most int)
returns table (verdict text, place text, entry json) language plpgsql security definer set search_path = public, pg_temp as $$
declare r chatrooms;
begin
    if not is_signed_in(caller) then
        return query select 'session_ended', '', null::json;
        return;
    end if;
    select * into r from room_of(caller.user_id, room);
    if not found then
        return query select 'not_found', '', null::json;
        return;
    end if;
    return query select * from page_of_messages(r, before, most);
end
$$;
