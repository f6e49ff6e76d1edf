-- A reply that continues another is queued with the text of that one. Cancelled, it keeps it, and is charged only where more has come.
create or replace function cancel_reply(owner uuid, room uuid, reply uuid) returns setof messages language plpgsql as $$
declare
    of_day date;
    begun text;
    kept text;
    has_come boolean;
begin
    delete from jobs j where j.user_id = owner and j.lane = room and j.id = reply and j.kind = 'reply'
    returning j.day, nullif(j.partial, '') into of_day, kept;
    if found then
        select m.content into begun from messages m
        where m.user_id = owner and m.chatroom_id = room and m.id = reply for update;
        update messages m set
            status = 'cancelled', completed_at = clock_timestamp(),
            content = coalesce(t.text, kept, m.content), attempt = m.attempt + (t.text is null and kept is not null)::int
        from (
            select r.id, nullif(case r.status when 'running' then partial_text(owner, reply, r.attempt) end, '') as text
            from messages r where r.user_id = owner and r.chatroom_id = room and r.id = reply
        ) t
        where m.user_id = owner and m.chatroom_id = room and m.id = t.id
        returning m.content <> begun into has_come;
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
