-- The rooms in the caller's trash that can be restored, those that came last first, at most so many: those after the place of a time in
-- microseconds since 1970 and an id, which is that of an entry.
create function api.list_trash(caller caller, deleted_micros bigint, after uuid, most int, default_model text, trash_days int)
returns table (verdict text, place text, entry json) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        return query select 'session_ended', '', null::json;
        return;
    end if;
    return query
        select null, concat_ws(' ', to_micros(r.deleted_at), r.id), j.json
        from (
            select c as room, c.* from chatrooms c
            where c.user_id = caller.user_id and is_in_trash(c, trash_days) and (c.deleted_at, c.id) < (
                coalesce(from_micros(deleted_micros), 'infinity'), coalesce(after, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
            order by c.deleted_at desc, c.id desc limit most
        ) r
        cross join lateral (
            select row_to_json(j) as json from (
                select r.id, r.title, coalesce(r.model, default_model) as model, r.system_instruction, r.pinned, r.archived,
                    r.retention_days, r.created_at, room_updated_at(r.room) as updated_at, r.deleted_at,
                    r.deleted_at + make_interval(days => trash_days) as purge_at
            ) j
        ) j
        order by r.deleted_at desc, r.id desc;
end
$$;
