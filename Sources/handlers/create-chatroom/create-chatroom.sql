-- Makes a room. basic_models and pro_models are those that a room may choose, of each tier.
create function api.create_chatroom(
    caller caller, once once, per_minute int, title text, system_instruction text, model text, basic_models text[], pro_models text[],
    default_model text, out verdict text, out standing text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare r chatrooms;
begin
    select b.verdict, b.standing, (b.kept #>> '{}')::json into verdict, standing, json
    from begin_request(caller, once, 'rooms', per_minute) b;
    if verdict is not null then return; end if;
    if not may_choose(caller.user_id, model, basic_models, pro_models) then
        verdict := 'plan_forbids';
        return;
    end if;

    insert into chatrooms (user_id, title, system_instruction, model)
    values (caller.user_id, create_chatroom.title, create_chatroom.system_instruction, create_chatroom.model)
    returning * into r;
    select j.json into json from room_json(r, default_model) j;
    if once.key is not null then perform keep_answer(caller.user_id, once, to_json(json::text)); end if;
    perform forget_chatroom_list(caller.user_id);
end
$$;
