-- What has come so far of a reply in an attempt to write it: from the first byte to the first gap. Of a row that
-- begins with what is there already, the rest; but never half a character.
create function partial_text(owner uuid, message uuid, try int) returns text language sql stable parallel safe as $$
    select coalesce(convert_from(string_agg(substring(bytes from reach - start + 1), '' order by start), 'UTF8'), '')
    from (
        select start, bytes, reach, bool_and(case
            when start > reach then false
            when reach - start >= octet_length(bytes) then true
            else get_byte(bytes, reach - start) & 192 <> 128
        end) over (order by start) as goes_on
        from (
            select start, bytes, coalesce(max(start + octet_length(bytes)) over (
                order by start rows between unbounded preceding and 1 preceding), 0) as reach
            from (
                select d.start, convert_to(d.text, 'UTF8') as bytes from deltas d
                where d.user_id = owner and d.message_id = message and d.attempt = try
            ) delta
        ) measured
    ) checked
    where goes_on
$$;

-- Ends a reply that is not finished and keeps what has come of it; one that is finished stays as it is. Gives the message as
-- it is then.
--
-- Whoever deletes the job decides what becomes of the reply, here as in the worker: the other one finds no job and changes
-- nothing. Jobs are locked before messages, as the worker does. A function, because what is read after the wait for a lock
-- has to be what was committed meanwhile.
create function cancel_reply(owner uuid, room uuid, reply uuid) returns setof messages language plpgsql as $$
begin
    delete from jobs j where j.user_id = owner and j.lane = room and j.id = reply and j.kind = 'reply';
    if found then
        update messages m set
            status = 'cancelled', completed_at = clock_timestamp(),
            content = case m.status when 'running' then partial_text(owner, reply, m.attempt) else '' end
        where m.user_id = owner and m.chatroom_id = room and m.id = reply;
        delete from deltas d where d.user_id = owner and d.message_id = reply;
        perform pg_notify('cancelled', reply::text), pg_notify('replies', reply::text);
    end if;
    return query select * from messages m where m.user_id = owner and m.chatroom_id = room and m.id = reply;
end
$$;
