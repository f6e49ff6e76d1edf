-- Ends a reply that is not finished and keeps what has come of it; one that is finished stays as it is.
create function api.cancel_reply(caller caller, room uuid, message uuid, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
declare m messages;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    perform from room_of(caller.user_id, room);
    if found then select * into m from cancel_reply(caller.user_id, room, message); end if;
    if m.id is null then
        verdict := 'not_found';
    elsif m.role <> 'model' then
        verdict := 'not_a_reply';
    else
        select j.json into json from message_json(m) j;
    end if;
end
$$;
