-- Puts a room into the trash.
create function api.delete_chatroom(caller caller, per_minute int, room uuid, out verdict text, out standing text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'rooms', per_minute) b;
    if verdict is not null then return; end if;
    -- Nothing is locked for a room that is not there.
    perform from room_of(caller.user_id, room);
    if not found or not trash_chatroom(caller.user_id, room) then verdict := 'not_found'; end if;
end
$$;
