-- Changes what is named of a room. basic_models and pro_models are those that a room may choose, of each tier.
create function api.update_chatroom(
    caller caller, per_minute int, room uuid, named text[], title text, system_instruction text, model text, pinned boolean,
    archived boolean, retention_days int, basic_models text[], pro_models text[], default_model text,
    out verdict text, out standing text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare r chatrooms;
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'rooms', per_minute) b;
    if verdict is not null then return; end if;
    perform from room_of(caller.user_id, room);
    if not found then
        verdict := 'not_found';
        return;
    end if;
    if not may_choose(caller.user_id, model, basic_models, pro_models) then
        verdict := 'plan_forbids';
        return;
    end if;

    update chatrooms c set
        title = case when 'title' = any(named) then update_chatroom.title else c.title end,
        system_instruction = case when 'system_instruction' = any(named) then update_chatroom.system_instruction
            else c.system_instruction end,
        model = case when 'model' = any(named) then update_chatroom.model else c.model end,
        pinned = case when 'pinned' = any(named) then update_chatroom.pinned else c.pinned end,
        archived = case when 'archived' = any(named) then update_chatroom.archived else c.archived end,
        retention_days = case when 'retention_days' = any(named) then update_chatroom.retention_days else c.retention_days end,
        changed_at = clock_timestamp(), sweep_at = now()
    where c.user_id = caller.user_id and c.id = room and c.deleted_at is null
    returning c.* into r;
    -- It may have gone meanwhile.
    if not found then
        verdict := 'not_found';
        return;
    end if;
    select j.json into json from room_json(r, default_model) j;
    perform forget_chatroom_list(caller.user_id);
end
$$;
