-- What the caller shares, the newest first, at most so many: those after the place of a time in microseconds since 1970 and an id, which
-- is that of an entry.
create function api.list_shares(caller caller, created_micros bigint, after uuid, most int)
returns table (verdict text, place text, entry json) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        return query select 'session_ended', '', null::json;
        return;
    end if;
    return query
        select null, concat_ws(' ', to_micros(s.created_at), s.id), j.json
        from shares s cross join lateral share_json(s) j
        where s.user_id = caller.user_id and s.expires_at > now() and (s.created_at, s.id) < (
            coalesce(from_micros(created_micros), 'infinity'), coalesce(after, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
            -- `offset 0` has each room looked up by its key.
            and exists (select from room_of(s.user_id, s.chatroom_id) offset 0)
        order by s.created_at desc, s.id desc limit most;
end
$$;
