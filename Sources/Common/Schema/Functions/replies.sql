-- Begins a branch of a room in place of the message `original` and of what came after it, and has the room show it. Gives its
-- number, the id and the time of the message that is to be written there first, and what that one's JSON says of the variants
-- at its place. `original` is the first of them, which is no branch's first: what its branch shows before it is what all of
-- them follow.
--
-- A function, so that forks of a room are one after the other: each of its statements sees what was committed before the
-- room's row was had, and times are taken after.
create or replace function fork(owner uuid, room uuid, original uuid) returns table (made int, first uuid, at timestamptz, siblings json)
language plpgsql as $$
begin
    -- Before the room's row, because whoever deletes rooms takes them in this order.
    perform pg_advisory_xact_lock_shared(rooms_lock(owner));
    update chatrooms r set branch = r.branches + 1, branches = r.branches + 1
    where r.user_id = owner and r.id = room returning r.branch into made;
    if not found then return; end if;
    at := clock_timestamp();
    first := uuidv7(at);
    insert into branches (user_id, chatroom_id, id, path, below, chosen_at) values (owner, room, 0, '{}', '{}', '-infinity')
    on conflict do nothing;
    insert into branches (user_id, chatroom_id, id, path, below, chosen_at)
    select owner, room, made, b.path || b.id, b.below || m.id, at
    from messages m join branches b on b.user_id = owner and b.chatroom_id = room and b.id = m.branch
    where m.user_id = owner and m.chatroom_id = room and m.id = original;
    update messages m set variant_of = m.id
    where m.user_id = owner and m.chatroom_id = room and m.id = original and m.variant_of is null;
    siblings := (
        select json_build_object(
            'count', count(*) + 1, 'number', count(*) + 1, 'ids', to_json(array_agg(m.id order by m.id) || first))
        from messages m where m.user_id = owner and m.chatroom_id = room and m.variant_of = original);
    return next;
end
$$;

-- What has come so far of a reply in an attempt to write it: from the first byte to the first gap. Of a row that
-- begins with what is there already, the rest; but never half a character.
create or replace function partial_text(owner uuid, message uuid, try int) returns text language sql stable parallel safe as $$
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

-- The longest of these texts and of those that attempts to write the reply have left; '' where all are white space.
create or replace function longest_partial(owner uuid, message uuid, known text[]) returns text language sql stable as $$
    select coalesce((
        select t.text from (
            select k.text from unnest(known) as k (text)
            union all
            select partial_text(owner, message, a.attempt)
            from (select distinct attempt from deltas where user_id = owner and message_id = message) a
        ) t where t.text ~ '[^[:space:]]' order by octet_length(t.text) desc limit 1
    ), '')
$$;
