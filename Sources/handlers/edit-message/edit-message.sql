-- Stores another version of a question, on a branch of its own, with the reply that is to come. files are those of its attachments that
-- stay; NULL keeps all.
create function api.edit_message(
    caller caller, once once, room uuid, message uuid, content text, files uuid[], limits int[]
) returns turn_answer language plpgsql security definer set search_path = public, pg_temp as $$
declare
    a turn_answer;
    kept json;
    old messages;
    t turn;
begin
    select b.verdict, b.kept into a.verdict, kept from begin_request(caller, once, null, 0) b;
    if a.verdict = 'replayed' then a := turn_replayed(kept); end if;
    if a.verdict is not null then return a; end if;

    perform hold_rooms(array[caller.user_id], true);
    select * into old from message_of(caller.user_id, room, message);
    a.verdict := case
        when old.id is null then 'not_found'
        when old.role <> 'user' then 'not_a_question'
        when not files <@ coalesce(old.attachments, '{}') then 'attachments_not_there'
    end;
    if a.verdict is not null then return a; end if;

    t.user_id := old.user_id;
    t.chatroom_id := old.chatroom_id;
    t.content := content;
    t.attachments := case
        when files is null then old.attachments
        else (select array_agg(x.id order by x.number) from unnest(old.attachments) with ordinality x (id, number)
            where x.id = any(files))
    end;
    a := store_variant(coalesce(old.variant_of, old.id), true, 'edit', limits, t);
    if a.verdict is null and once.key is not null then perform keep_answer(caller.user_id, once, to_json(a)); end if;
    return a;
end
$$;
