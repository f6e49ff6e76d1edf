-- Whether there is such a reply of the caller's, which they may read as it is written.
create function api.stream_reply(caller caller, room uuid, message uuid, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    perform from message_of(caller.user_id, room, message) m where m.role = 'model';
    if not found then verdict := 'not_found'; end if;
end
$$;

-- What has come for streams, each with its descriptor, its reader, its reply, and how much of that the reader has: of which attempt so
-- many bytes. There is no row for one that has no news. status is NULL where the reply is gone, or the reader's session.
--
-- The text of an older attempt is none. The first row wanted is the last that starts where the reader is or before, or the one that
-- holds the whole text written anew; found by the index, however long the text is. is_partial says that there is more than is given.
create function api.stream_reply_news(
    descriptors int[], callers caller[], rooms uuid[], replies uuid[], attempts int[], offsets int[]
) returns table (verdict text, descriptor int, status text, attempt int, start int, text text, is_partial boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select null::text, s.descriptor, m.status::text, d.attempt, d.start, d.text, coalesce(d.number = 64, false)
        from unnest(descriptors, callers, rooms, replies, attempts, offsets)
            as s (descriptor, user_id, session_id, token_time, chatroom_id, id, attempt, had)
        left join messages m on m.user_id = s.user_id and m.chatroom_id = s.chatroom_id and m.id = s.id and exists (
            -- `offset 0` has each session looked up by its key.
            select from sessions c where c.user_id = s.user_id and c.id = s.session_id
                and lives(c) offset 0)
        left join lateral (
            select a.attempt, t.start, t.text, row_number() over () as number
            from (
                select l.attempt, case when l.attempt = s.attempt then s.had else 0 end as had from (
                    select attempt from deltas
                    where user_id = s.user_id and message_id = s.id and attempt >= s.attempt
                        and m.status = 'running'
                    order by attempt desc limit 1
                ) l
            ) a cross join lateral (
                select start, text from deltas t
                where t.user_id = s.user_id and t.message_id = s.id and t.attempt = a.attempt
                    and octet_length(t.text) > a.had - t.start and t.start >= coalesce(
                        (select start from deltas w where w.user_id = s.user_id and w.message_id = s.id
                            and w.attempt = a.attempt and w.start = 0 and octet_length(w.text) > a.had),
                        (select max(start) from deltas b where b.user_id = s.user_id and b.message_id = s.id
                            and b.attempt = a.attempt and b.start <= a.had),
                        0)
                order by t.start limit 64
            ) t
        ) d on true
        where d.start is not null or m.status is null or m.status not in ('queued', 'running')
        order by s.descriptor, d.start;
end
$$;

-- What ends streams whose replies are finished. length is the bytes of the content; content is NULL where the reader has all of it.
create function api.stream_reply_ends(
    descriptors int[], callers caller[], rooms uuid[], replies uuid[], attempts int[], offsets int[]
) returns table (verdict text, descriptor int, status text, attempt int, length int, content text, json json)
language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select null::text, s.descriptor, m.status::text, m.attempt, octet_length(m.content),
            case when m.attempt <> s.attempt or octet_length(m.content) <> s.had then m.content end, j.json
        from unnest(descriptors, callers, rooms, replies, attempts, offsets)
            as s (descriptor, user_id, session_id, token_time, chatroom_id, id, attempt, had)
        join messages m on m.user_id = s.user_id and m.chatroom_id = s.chatroom_id and m.id = s.id
        cross join lateral message_json(m) j
        where exists (
            select from sessions c where c.user_id = s.user_id and c.id = s.session_id
                and lives(c) offset 0);
end
$$;

-- Those of the streams whose session has ended or whose room was deleted.
create function api.stream_reply_orphans(descriptors int[], callers caller[], rooms uuid[])
returns table (verdict text, descriptor int) language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select null::text, s.descriptor
        from unnest(descriptors, callers, rooms) as s (descriptor, user_id, session_id, token_time, chatroom_id)
        where not exists (
            select from sessions c where c.user_id = s.user_id and c.id = s.session_id
                and lives(c) offset 0
        ) or not exists (select from room_of(s.user_id, s.chatroom_id) offset 0);
end
$$;
