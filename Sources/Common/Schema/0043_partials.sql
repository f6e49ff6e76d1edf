-- What has come of a reply is kept however its attempts end: the longest text of those that are over, with its job.
alter table jobs add partial text;

-- The longest of these texts and of those that attempts to write the reply have left; '' where all are white space.
create function longest_partial(owner uuid, message uuid, known text[]) returns text language sql stable as $$
    select coalesce((
        select t.text from (
            select k.text from unnest(known) as k (text)
            union all
            select partial_text(owner, message, a.attempt)
            from (select distinct attempt from deltas where user_id = owner and message_id = message) a
        ) t where t.text ~ '[^[:space:]]' order by octet_length(t.text) desc limit 1
    ), '')
$$;

-- As before, but a reply that is cancelled while an attempt has not said anything yet keeps what the earlier ones had, under a number
-- of its own: a reader may have had another text.
create or replace function cancel_reply(owner uuid, room uuid, reply uuid) returns setof messages language plpgsql as $$
declare
    of_day date;
    kept text;
    has_come boolean;
begin
    delete from jobs j where j.user_id = owner and j.lane = room and j.id = reply and j.kind = 'reply'
    returning j.day, nullif(j.partial, '') into of_day, kept;
    if found then
        update messages m set
            status = 'cancelled', completed_at = clock_timestamp(),
            content = coalesce(t.text, kept, ''), attempt = m.attempt + (t.text is null and kept is not null)::int
        from (
            select r.id, nullif(case r.status when 'running' then partial_text(owner, reply, r.attempt) end, '') as text
            from messages r where r.user_id = owner and r.chatroom_id = room and r.id = reply
        ) t
        where m.user_id = owner and m.chatroom_id = room and m.id = t.id
        returning m.content <> '' into has_come;
        if of_day is not null then
            insert into ledger (user_id, day, kind, amount, reason, chatroom_id, message_id) values (
                owner, of_day, case when has_come then 'charge'::ledger_kind else 'refund' end,
                case when has_come then 0 else -1 end, 'cancelled', room, reply);
            insert into usage_days as d (user_id, day, charged, refunded)
            values (owner, of_day, has_come::int, (not has_come)::int)
            on conflict (user_id, day) do update set
                charged = d.charged + excluded.charged, refunded = d.refunded + excluded.refunded;
        end if;
        delete from deltas d where d.user_id = owner and d.message_id = reply;
        perform pg_notify('cancelled', reply::text), pg_notify('replies', reply::text);
    end if;
    return query select * from messages m where m.user_id = owner and m.chatroom_id = room and m.id = reply;
end
$$;
