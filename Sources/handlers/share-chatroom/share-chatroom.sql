-- Keeps what a room shows, of so many bytes at most, for whoever has the token of this hash. A user has at most so many shares.
create function api.share_chatroom(
    caller caller, once once, per_minute int, room uuid, share uuid, hash text, days int, most_bytes int, most int,
    out verdict text, out standing text, out json json
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
    r chatrooms;
    at timestamptz;
    said json;
    s shares;
begin
    select b.verdict, b.standing, (b.kept #>> '{}')::json into verdict, standing, json
    from begin_request(caller, once, 'sharing', per_minute) b;
    if verdict is not null then return; end if;
    select * into r from room_of(caller.user_id, room);
    if not found then
        verdict := 'not_found';
        return;
    end if;

    at := clock_timestamp();
    select coalesce(json_agg((
        select row_to_json(j) from (select m.role, m.content, told_at(m.created_at, m.role) as created_at) j
    ) order by m.id), '[]') into said
    from messages_on(r.user_id, r.id, r.branch) m where is_said(m);
    verdict := case
        when octet_length(said::text) > most_bytes then 'share_too_large'
        when not may_share(r.user_id, most) then 'too_many_shares'
    end;
    if verdict is not null then return; end if;

    insert into shares (user_id, id, chatroom_id, token_hash, title, messages, created_at, expires_at)
    values (r.user_id, share, r.id, hash, r.title, said, at, at + make_interval(days => days))
    returning * into s;
    select j.json into json from share_json(s) j;
    if once.key is not null then perform keep_answer(caller.user_id, once, to_json(json::text)); end if;
end
$$;
