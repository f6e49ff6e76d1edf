-- The caller's messages, and titles of rooms, that hold what is asked for, the best first and at most so many: those after the place
-- of a rank and an id, which is that of an entry.
create function api.search_messages(
    caller caller, per_minute int, asked text, after_rank float4, after uuid, most int,
    out verdict text, out standing text, out entries text, out next_place text
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
    owner uuid := caller.user_id;
    query tsquery;
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'search', per_minute) b;
    if verdict is not null then return; end if;
    query := search_query(owner, asked);
    if query is null then
        verdict := 'no_word';
        return;
    end if;
    with hits as (
        select h.*, r.title, r.created_at, row_number() over (order by h.rank desc, h.id desc) as n
        from (
            -- `offset 0` has what is found looked up by its words alone, and what is in the trash left out of the few that are shown.
            select e.user_id, e.chatroom_id, e.message_id as id, ts_rank(e.words, query, 1) as rank
            from (select * from search_entries e where e.words @@ query offset 0) e where e.user_id = owner
            union all
            select r.user_id, r.id, r.id, 2 * ts_rank(r.title_words, query, 1)
            from (select * from chatrooms r where r.title_words @@ query offset 0) r where r.user_id = owner
            order by rank desc, id desc offset 0
        ) h
        join chatrooms r on r.user_id = h.user_id and r.id = h.chatroom_id and r.deleted_at is null
        where (h.rank, h.id) < (
            coalesce(after_rank, 'infinity'), coalesce(after, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        order by h.rank desc, h.id desc limit most + 1
    )
    select coalesce(string_agg(j.json::text, ',' order by h.n) filter (where h.n <= most), ''),
        coalesce(max(concat_ws(' ', h.rank, h.id)) filter (where h.n = most and (select count(*) from hits) > most), '')
    into entries, next_place
    from hits h
    left join messages m on m.user_id = h.user_id and m.chatroom_id = h.chatroom_id and m.id = h.id
    cross join lateral (
        select row_to_json(j) as json from (select
            h.chatroom_id, m.id as message_id, h.title,
            search_snippet(left(coalesce(m.content, h.title), 16000), asked) as snippet,
            coalesce(told_at(m.created_at, m.role), h.created_at) as created_at
        ) j
    ) j;
end
$$;
