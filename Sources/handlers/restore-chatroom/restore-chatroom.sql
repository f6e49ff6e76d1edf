-- Takes a room out of the trash.
create function api.restore_chatroom(
    caller caller, once once, per_minute int, room uuid, default_model text, trash_days int,
    out verdict text, out standing text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare r chatrooms;
begin
    select b.verdict, b.standing, (b.kept #>> '{}')::json into verdict, standing, json
    from begin_request(caller, once, 'rooms', per_minute) b;
    if verdict is not null then return; end if;

    update chatrooms c set deleted_at = null where c.user_id = caller.user_id and c.id = room and is_in_trash(c, trash_days)
    returning c.* into r;
    if not found then
        verdict := 'not_found';
        return;
    end if;
    select j.json into json from room_json(r, default_model) j;
    if once.key is not null then perform keep_answer(caller.user_id, once, to_json(json::text)); end if;
    perform forget_chatroom_list(caller.user_id);
end
$$;
