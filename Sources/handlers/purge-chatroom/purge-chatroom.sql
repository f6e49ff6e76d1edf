-- Deletes a room that is in the trash, for good.
create function api.purge_chatroom(
    caller caller, per_minute int, room uuid, trash_days int, out verdict text, out standing text
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'rooms', per_minute) b;
    if verdict is not null then return; end if;
    perform from chatrooms c where c.user_id = caller.user_id and c.id = room and is_in_trash(c, trash_days);
    if not found or not purge_chatroom(caller.user_id, room) then verdict := 'not_found'; end if;
end
$$;
