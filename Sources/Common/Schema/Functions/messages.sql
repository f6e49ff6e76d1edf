-- A message as its room's owner sees it. While a reply runs its content is what has come so far, or what it continues.
create or replace function message_json(m messages) returns table (json json) language sql stable as $$
    select row_to_json(j) from (
        select m.id, m.chatroom_id, m.role,
            case m.status when 'running' then coalesce(nullif(partial_text(m.user_id, m.id, m.attempt), ''), m.content)
                else m.content end as content,
            m.status, m.error, finish_word(m.finish_reason) as finish_reason, m.model, m.usage,
            case when m.variant_of is not null then siblings_json(m) end as siblings,
            case when m.attachments is null then '[]' else attachments_json(m.user_id, m.attachments) end as attachments,
            told_at(m.created_at, m.role) as created_at, m.completed_at
    ) j
$$;

-- When a message was made, as it is told: a reply a millisecond after its question, so that clients that sort by it keep their order;
-- stored is the one time of the request that made both.
create or replace function told_at(created_at timestamptz, role message_role) returns timestamptz language sql stable as $$
    select created_at + case role when 'model' then interval '1 millisecond' else interval '0' end
$$;

-- The variants of a message, of which one has been made at least.
create or replace function siblings_json(m messages) returns json language plpgsql stable as $$
begin
    return (
        select json_build_object(
            'count', count(*), 'number', count(*) filter (where s.id <= m.id), 'ids', json_agg(s.id order by s.id))
        from messages s where s.user_id = m.user_id and s.chatroom_id = m.chatroom_id and s.variant_of = m.variant_of);
end
$$;

-- Why the model stopped, in a word that stays whatever Gemini calls it; NULL where it did not stop by itself.
create or replace function finish_word(reason text) returns text language sql immutable parallel safe as $$
    select case
        when reason is null then null
        when reason in ('STOP', 'MAX_TOKENS') then lower(reason)
        when reason in ('RECITATION', 'IMAGE_RECITATION') then 'recitation'
        when reason in (
            'SAFETY', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY', 'IMAGE_PROHIBITED_CONTENT', 'MODEL_ARMOR',
            'JAILBREAK') then 'safety'
        else 'other'
    end
$$;

-- Whether a reply was cut off before its end, but not for what it said, and can be continued.
create or replace function is_cut_off(m messages) returns boolean language plpgsql immutable as $$
declare word text := finish_word(m.finish_reason);
begin
    return m.content <> '' and case m.status
        when 'done' then coalesce(word in ('max_tokens', 'other'), false)
        when 'failed' then coalesce(word not in ('safety', 'recitation'), true)
        else m.status = 'cancelled'
    end;
end
$$;

-- A message of a user's; not where its room is in the trash.
create or replace function message_of(owner uuid, room uuid, message uuid) returns setof messages language sql stable as $$
    select m.* from messages m
    where m.user_id = owner and m.chatroom_id = room and m.id = message and exists (
        select from chatrooms r where r.user_id = owner and r.id = room and r.deleted_at is null)
$$;

-- The messages on a branch of a room, in no order.
create or replace function messages_on(owner uuid, room uuid, of_branch int) returns setof messages language sql stable as $$
    select m.* from messages m
    where m.user_id = owner and m.chatroom_id = room and (m.branch = of_branch or of_branch > 0 and exists (
        select from branches cross join unnest(branches.path, branches.below) as part (branch, below)
        where branches.user_id = owner and branches.chatroom_id = room and branches.id = of_branch
            and part.branch = m.branch and m.id < part.below))
$$;

-- Whether a message is part of what was said: replies that never came are not.
create or replace function is_said(m messages) returns boolean language sql stable as $$
    select m.status = 'done' or m.status = 'cancelled' and m.content <> ''
$$;

-- The messages on the branch that a room shows, the newest first, at most so many, from before the message `before` on.
create or replace function page_of_messages(r chatrooms, before uuid, most int)
returns table (verdict text, place text, entry json) language plpgsql stable as $$
begin
    return query
        select null, m.id::text, j.json
        from (
            select m.* from messages_on(r.user_id, r.id, r.branch) m
            where m.id < coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff') order by m.id desc limit most
        ) m cross join lateral message_json(m::messages) j
        order by m.id desc;
end
$$;
