-- What a reply was given, from its branch: all that was sent of the conversation, without what failed.
create function api.get_provenance(caller caller, room uuid, message uuid, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    m messages;
    oldest uuid;
    given json;
    summary json;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select * into m from message_of(caller.user_id, room, message);
    verdict := case when m.id is null then 'not_found' when m.role <> 'model' then 'not_a_reply' end;
    if verdict is not null then return; end if;

    select json_build_object('id', s.id, 'content', s.content, 'upto', s.upto, 'created_at', s.created_at) into summary
    from summaries s
    where s.user_id = m.user_id and s.chatroom_id = m.chatroom_id and s.id = (m.provenance ->> 'summary')::uuid;

    oldest := (m.provenance ->> 'from')::uuid;
    -- Older replies were given the questions of failed ones too, as the number of messages tells that is kept.
    select case
        when count(*) = (m.provenance ->> 'count')::int and bool_or(g.id = oldest) then json_agg(g.id order by g.id)
        else json_agg(g.id order by g.id) filter (where not g.is_unanswered)
    end into given
    from (
        select s.id, is_said(s) as is_said,
            s.role = 'user' and lag(s.status) over (order by s.id desc) is not distinct from 'failed' as is_unanswered
        from messages_on(m.user_id, m.chatroom_id, m.branch) s where s.id >= oldest and s.id < m.id
    ) g where g.is_said;

    select row_to_json(j) into json from (
        select m.model, summary, coalesce(given, '[]') as messages, m.provenance -> 'tokens' as tokens
    ) j;
end
$$;
