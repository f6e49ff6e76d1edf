-- Has a room show a message, on the branch with it that was chosen last.
create function api.choose_message(
    caller caller, per_minute int, room uuid, message uuid, out verdict text, out standing text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
    m messages;
    chosen int;
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'rooms', per_minute) b;
    if verdict is not null then return; end if;
    select * into m from message_of(caller.user_id, room, message);
    if not found then
        verdict := 'not_found';
        return;
    end if;

    select b.id into chosen from branches b
    where b.user_id = m.user_id and b.chatroom_id = m.chatroom_id and exists (
        select from messages_on(m.user_id, m.chatroom_id, b.id) o where o.id = m.id)
    order by b.chosen_at desc limit 1;
    -- Without branches nothing is chosen, and all is shown.
    if found then
        -- The room's row is locked before its branches, as by fork().
        update chatrooms r set branch = chosen where r.user_id = m.user_id and r.id = m.chatroom_id;
        if found then
            update branches b set chosen_at = clock_timestamp()
            where b.user_id = m.user_id and b.chatroom_id = m.chatroom_id and b.id = chosen;
        end if;
    end if;
    -- Read anew, text and all by one statement: a reply may have ended meanwhile.
    select j.json into json
    from message_of(caller.user_id, room, message) o cross join lateral message_json(o) j;
end
$$;
