-- Stores messages, each with the reply that is to come, and tells of each by its number in the arrays. Those of several requests come
-- in the order of their owners; a request that would have to wait is busy, and has to be made by itself.
--
-- The key of once is NULL where it was not sent; limits is NULL where nobody has any (reserve_place). files are the attachments of one
-- request that comes by itself, and have so many bytes at most.
--
-- It has no search_path of its own, which costs up to a tenth: whoever may call it must not be able to make a table.
create function api.send_message(
    callers caller[], rooms uuid[], contents text[], onces once[], limits int[], files uuid[], most_bytes bigint
) returns setof turn_answer language plpgsql security definer as $$
declare
    count int := cardinality(callers);
    is_alone boolean := count = 1;
    c caller;
    r chatrooms;
    u users;
    t turn;
    p place;
    kept json;
    turns turn[] := array[]::turn[];
    a turn_answer;
    answers turn_answer[] := array[]::turn_answer[];
begin
    if not is_alone then perform set_config('lock_timeout', '500ms', true); end if;
    for n in 1..count loop
        c := callers[n];
        p := null;
        a := null;
        if not is_signed_in(c) then
            a.verdict := 'session_ended';
        elsif onces[n].key is not null then
            select * into a.verdict, kept from recall(c.user_id, onces[n], is_alone);
            if a.verdict = 'replayed' then a := turn_replayed(kept); end if;
            if a.verdict = 'idempotency_running' and not is_alone then a.verdict := 'busy'; end if;
        end if;
        if a.verdict is null and not hold_rooms(c.user_id, is_alone) then a.verdict := 'busy'; end if;
        if a.verdict is null then
            select * into r from room_of(c.user_id, rooms[n]);
            a.verdict := case when not found then 'not_found' when files is not null then check_files(c.user_id, files, most_bytes) end;
        end if;
        if a.verdict is null then
            select * into u from users where id = c.user_id;
            t := null;
            t.user_id := c.user_id;
            t.chatroom_id := r.id;
            t.branch := r.branch;
            t.at := clock_timestamp();
            t.day := day_of(u, t.at);
            t.content := contents[n];
            t.attachments := files;
            if limits is not null then p := reserve_place(u, t.day, t.at, limits); end if;
            if p.verdict is null then
                t.question := uuidv7(t.at, 0, right(gen_random_uuid()::text, 17));
                t.reply := uuidv7(t.at, 1, right(t.question::text, 17));
                turns := turns || t;
                if files is not null then
                    update attachments f set chatroom_id = r.id where f.user_id = c.user_id and f.id = any(files);
                end if;
            end if;
            a := turn_told(t, p);
        end if;
        a.number := n;
        answers := answers || a;
    end loop;
    if cardinality(turns) > 0 then perform store_turns(turns, 'message'); end if;
    foreach a in array answers loop
        if a.verdict is null and onces[a.number].key is not null then
            perform keep_answer(callers[a.number].user_id, onces[a.number], to_json(a));
        end if;
        return next a;
    end loop;
end
$$;
