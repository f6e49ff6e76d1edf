-- A room, and then the messages of `list_messages`.
create function api.get_chatroom(caller caller, room uuid, default_model text, before uuid, most int)
returns table (verdict text, place text, entry json) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        return query select 'session_ended', '', null::json;
        return;
    end if;
    return query
        select null, '', j.json from chatrooms r cross join lateral room_json(r, default_model) j
        where r.user_id = caller.user_id and r.id = room and r.deleted_at is null;
    if not found then
        return query select 'not_found', '', null::json;
        return;
    end if;
    return query select * from page_of_messages(caller.user_id, room, before, most);
end
$$;
