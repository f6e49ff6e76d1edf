-- The caller's rooms, pinned ones first and each kind by when a room was last used: by its newest message.
--
-- All pages that follow each other show the rooms as they stood when the first was made (seen_at): nothing that is used or made
-- meanwhile moves, or is seen twice. Only what was being sent at that very moment may have moved its room to the front, unseen. The place
-- of an entry is seen_at, whether it is pinned, when it was used, and its id; times are microseconds since 1970.
--
-- page is the place of its last entry, where more follow, a new line, and then its entries. The first page as everybody asks for it
-- (is_usual) is kept in the cache. version is when that was done, which is also its ETag; NULL where it was not.
--
-- It has no search_path of its own, which costs up to a tenth: whoever may call it must not be able to make a table.
create function api.list_chatrooms(
    caller caller, is_archived boolean, is_usual boolean, seen_at bigint, was_pinned boolean, used_at bigint, after uuid, most int,
    default_model text, out verdict text, out page text, out version bigint, out is_hit boolean
) language plpgsql security definer as $$
declare
    owner uuid := caller.user_id;
    is_alone boolean := false;
    seen timestamptz := coalesce(from_micros(seen_at), 'infinity');
begin
    if is_usual then
        -- Nearly always by one statement (lives).
        select c.value, (date_part('epoch', c.expires_at) * 1000000)::bigint into page, version
        from sessions s join cache c on c.key = 'rooms:' || s.user_id
        where s.user_id = owner and s.id = caller.session_id and lives(s) and not s.is_unused and c.expires_at > now();
        is_hit := found;
        if is_hit then return; end if;
    end if;
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    is_hit := false;
    if is_usual then
        -- Of a session that is used for the first time.
        select c.value, (date_part('epoch', c.expires_at) * 1000000)::bigint into page, version
        from cache c where c.key = 'rooms:' || owner and c.expires_at > now();
        is_hit := found;
        if is_hit then return; end if;
        -- See forget_chatroom_list.
        is_alone := pg_try_advisory_xact_lock(rooms_lock(owner));
    end if;
    -- Where this is the first page, the time is taken after the snapshot that the statement sees.
    with listed as (
        select r.r, r.pinned, r.used_at, r.id, row_number() over (order by r.pinned desc, r.used_at desc, r.id desc) as n
        from (
            select r, r.pinned, u.used_at, r.id
            from chatrooms r cross join lateral (
                select greatest(r.created_at, (
                    select m.created_at from messages m
                    where m.user_id = r.user_id and m.chatroom_id = r.id and m.created_at <= seen
                    order by m.id desc limit 1
                )) as used_at
            ) u
            where r.user_id = owner and r.archived = is_archived and r.deleted_at is null and r.created_at <= seen
                and (r.pinned, u.used_at, r.id) < (
                    coalesce(was_pinned, true), coalesce(from_micros(list_chatrooms.used_at), 'infinity'),
                    coalesce(after, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
            order by r.pinned desc, u.used_at desc, r.id desc limit most + 1
        ) r
    )
    select case when count(*) > most then
            max(concat_ws(' ', coalesce(seen_at, to_micros(clock_timestamp())), l.pinned::text, to_micros(l.used_at), l.id))
                filter (where l.n = most)
        else '' end || E'\n' || coalesce(string_agg(j.json::text, ',' order by l.n) filter (where l.n <= most), '')
    into page
    from listed l cross join lateral room_json(l.r, default_model) j;
    if is_alone then
        insert into cache as c (key, value, expires_at)
        values ('rooms:' || owner, page, now() + interval '5 minutes')
        on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at
        returning (date_part('epoch', c.expires_at) * 1000000)::bigint into version;
    end if;
end
$$;
