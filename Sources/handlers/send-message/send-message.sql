-- Stores messages, each with the reply that is to come, and tells of each in the order of the arrays. Those of several requests come in the
-- order of their owners; a request that would have to wait is busy, and has to be made by itself.
--
-- The key of once is NULL where it was not sent; limits is NULL where nobody has any (reserve_place). files are the attachments of one
-- request that comes by itself, and have so many bytes at most.
--
-- It has no search_path of its own, which costs up to a tenth: whoever may call it must not be able to make a table.
create function api.send_message(
    callers caller[], rooms uuid[], contents text[], onces once[], limits int[], files uuid[], most_bytes bigint
) returns setof turn_answer language plpgsql security definer as $$
declare
    is_alone boolean := cardinality(callers) = 1;
    held uuid[];
    s record;
    kept json;
    t turn;
    p place;
    turns turn[] := array[]::turn[];
    a turn_answer;
    answers turn_answer[] := array[]::turn_answer[];
begin
    if not is_alone then perform set_config('lock_timeout', '500ms', true); end if;
    -- The key before the rooms, as all endpoints do. Those of several requests wait for none.
    if is_alone and onces[1].key is not null and is_signed_in(callers[1]) then
        select * into a.verdict, kept from recall(callers[1].user_id, onces[1]);
        if a.verdict = 'replayed' then a := turn_replayed(kept); end if;
        if a.verdict is not null then
            return next a;
            return;
        end if;
    end if;
    held := hold_rooms(array(select distinct c.user_id from unnest(callers) c), is_alone);
    for s in
        select x.n, x.user_id, x.session_id, x.content, e.id is not null as is_signed_in,
            e.is_unused, r.id as room, r.branch, u as owner
        from unnest(callers, rooms, contents) with ordinality as x (user_id, session_id, token_time, room, content, n)
        left join sessions e on e.user_id = x.user_id and e.id = x.session_id and lives(e)
        left join chatrooms r on r.user_id = x.user_id and r.id = x.room and r.deleted_at is null
        left join users u on u.id = x.user_id
        order by x.n
    loop
        t := null;
        p := null;
        a := null;
        a.verdict := case when not s.is_signed_in then 'session_ended' when s.user_id <> all(held) then 'busy' end;
        if s.is_unused then perform first_use(callers[s.n]); end if;
        if a.verdict is null and not is_alone and onces[s.n].key is not null then
            select * into a.verdict, kept from recall(s.user_id, onces[s.n], false);
            if a.verdict = 'replayed' then a := turn_replayed(kept); end if;
            if a.verdict = 'idempotency_running' then a.verdict := 'busy'; end if;
        end if;
        if a.verdict is null then
            a.verdict := case
                when s.room is null then 'not_found'
                when files is not null then check_files(s.user_id, files, most_bytes)
            end;
        end if;
        if a.verdict is null then
            t.user_id := s.user_id;
            t.chatroom_id := s.room;
            t.branch := s.branch;
            t.at := clock_timestamp();
            t.day := day_of(s.owner, t.at);
            t.content := s.content;
            t.attachments := files;
            if limits is not null then p := reserve_place(s.owner, t.day, t.at, limits); end if;
            if p.verdict is null then
                t.question := uuidv7(t.at, 0, right(gen_random_uuid()::text, 17));
                t.reply := uuidv7(t.at, 1, right(t.question::text, 17));
                turns := turns || t;
                if files is not null then
                    update attachments f set chatroom_id = s.room where f.user_id = s.user_id and f.id = any(files);
                end if;
            end if;
            a := turn_told(t, p);
            if a.verdict is null and onces[s.n].key is not null then
                perform keep_answer(s.user_id, onces[s.n], to_json(a));
            end if;
        end if;
        a.number := s.n;
        answers := answers || a;
    end loop;
    if cardinality(turns) > 0 then perform store_turns(turns, 'message'); end if;
    return query select * from unnest(answers);
end
$$;
