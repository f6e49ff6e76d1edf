-- The user's day at a time: that of their time zone, unless they have moved to it in the midst of one; and when it ends.
create or replace function day_of(u users, at timestamptz) returns date language sql stable as $$
    select case when u.usage_day_until > at then u.usage_day else (at at time zone u.timezone)::date end
$$;
create or replace function day_end(u users, at timestamptz) returns timestamptz language sql stable as $$
    select case when u.usage_day_until > at then u.usage_day_until
        else (day_of(u, at) + 1)::timestamp at time zone u.timezone end
$$;

-- Reserves a place for a message of a user whose rows nobody deletes meanwhile. limits are messages in a day and in a minute, of basic
-- and of pro; 0 is as many as they like.
create or replace function reserve_place(u users, of_day date, at timestamptz, limits int[], out p place)
language plpgsql as $$
declare
    first int := case tier(u) when 'pro' then 3 else 1 end;
    per_day int := limits[first];
    step interval := case when limits[first + 1] > 0 then make_interval(secs => (60000000 / limits[first + 1]) / 1e6) else '0' end;
    ends_at timestamptz := day_end(u, at);
    d usage_days;
    instant timestamptz;
    is_counted boolean := false;
begin
    p.tier := tier(u);
    p.resets_at := to_json(ends_at);
    p.day_seconds := ceil(date_part('epoch', ends_at - at));
    -- What keeps it from being counted may be gone when it is looked at.
    for attempt in 1..10 loop
        instant := clock_timestamp();
        update usage_days as c set reserved = c.reserved + 1, free_at = greatest(c.free_at, instant) + step
        where c.user_id = u.id and c.day = of_day and (per_day = 0 or c.reserved - c.refunded < per_day)
            and greatest(c.free_at, instant) + step <= instant + interval '1 minute'
        returning * into d;
        is_counted := found;
        exit when is_counted;
        insert into usage_days (user_id, day) values (u.id, of_day) on conflict do nothing;
        continue when found;
        select * into d from usage_days c where c.user_id = u.id and c.day = of_day;
        instant := clock_timestamp(); -- after the wait for others
        p.verdict := case
            when per_day > 0 and d.reserved - d.refunded >= per_day then 'daily_limit_reached'
            when greatest(d.free_at, instant) + step > instant + interval '1 minute' then 'rate_limited'
        end;
        exit when p.verdict is not null;
    end loop;
    if not is_counted and p.verdict is null then raise lock_not_available using message = 'no place could be counted'; end if;
    p.used := d.reserved - d.refunded;
    p.ahead := greatest(date_part('epoch', d.free_at - instant), 0);
end
$$;

-- Stores questions, the replies that are to come, their jobs and their receipts.
create or replace function store_turns(turns turn[], reason text) returns void language plpgsql as $$
begin
    insert into messages (
        user_id, chatroom_id, id, role, content, status, created_at, completed_at, branch, variant_of, attachments)
    select t.user_id, t.chatroom_id, m.id, m.role, m.content, m.status, t.at, m.completed_at, t.branch, m.variant_of, m.attachments
    from unnest(turns) t cross join lateral (
        values (t.question, 'user'::message_role, t.content, 'done'::message_status, t.at, t.question_variant_of, t.attachments),
            (t.reply, 'model', coalesce(t.begun, ''), 'queued', null, t.reply_variant_of, null)
    ) m (id, role, content, status, completed_at, variant_of, attachments)
    where m.id is not null;
    insert into jobs (user_id, lane, id, kind, day) select t.user_id, t.chatroom_id, t.reply, 'reply', t.day from unnest(turns) t;
    insert into ledger (user_id, id, day, kind, amount, reason, chatroom_id, message_id)
    select t.user_id, t.reply, t.day, 'reserve', 1, store_turns.reason, t.chatroom_id, t.reply from unnest(turns) t;
end
$$;

-- What is told of a turn that was stored, or of one for which there was no place. It is a single expression, which costs its callers no call.
create or replace function turn_told(t turn, p place) returns turn_answer language sql stable as $$
    select row(
        p.verdict, null, t.question, t.reply, to_json(t.at), to_json(told_at(t.at, 'model')), null,
        case when t.attachments is not null then attachments_json(t.user_id, t.attachments) end, t.begun, null,
        p.tier, p.used, p.resets_at, p.day_seconds, p.ahead)::turn_answer
$$;

-- What was told of a turn the first time.
create or replace function turn_replayed(kept json) returns turn_answer language plpgsql stable as $$
declare a turn_answer;
begin
    -- The release before kept the JSON of a variant's question under that name, with the reply's time and text.
    if left(kept ->> 'question', 1) = '{' then
        kept := jsonb_build_object('message', kept ->> 'question', 'replied_at', kept ->> 'at', 'begun', kept ->> 'content')
            || (kept::jsonb - 'question');
    end if;
    a := json_populate_record(null::turn_answer, kept);
    a.verdict := 'replayed';
    return a;
end
$$;

-- Makes a variant of a message, a question or a reply, on a branch of its own, and stores the turn from there on. t has the rest: what
-- the variant says, and who asks.
create or replace function store_variant(original uuid, is_question boolean, reason text, limits int[], t turn)
returns turn_answer language plpgsql as $$
declare
    u users;
    p place;
    a turn_answer;
    f record;
begin
    select * into u from users where id = t.user_id;
    t.at := clock_timestamp();
    t.day := day_of(u, t.at);
    if limits is not null then
        p := reserve_place(u, t.day, t.at, limits);
        if p.verdict is not null then return turn_told(t, p); end if;
    end if;
    select * into f from fork(t.user_id, t.chatroom_id, original);
    t.at := f.at;
    t.branch := f.made;
    if is_question then
        t.question := f.first;
        t.question_variant_of := original;
        t.reply := uuidv7(f.at + interval '1 microsecond');
    else
        t.reply := f.first;
        t.reply_variant_of := original;
    end if;
    perform store_turns(array[t], reason);
    a := turn_told(t, p);
    a.siblings := f.siblings;
    return a;
end
$$;

-- Has another reply made in the place of one that is finished, on a branch of its own: from nothing, or, where it goes on, from the text
-- of that one, which was cut off. It is queued with that text, which is how the worker knows it.
create or replace function variant_of_reply(c caller, once once, room uuid, reply uuid, limits int[], goes_on boolean)
returns turn_answer language plpgsql as $$
declare
    a turn_answer;
    kept json;
    old messages;
    question text;
    t turn;
begin
    select b.verdict, b.kept into a.verdict, kept from begin_request(c, once, null, 0) b;
    if a.verdict = 'replayed' then a := turn_replayed(kept); end if;
    if a.verdict is not null then return a; end if;

    perform hold_rooms(array[c.user_id], true);
    select * into old from message_of(c.user_id, room, reply);
    if found and old.role = 'model' then
        select j.json into question
        from (
            select m.* from messages_on(old.user_id, old.chatroom_id, old.branch) m
            where m.id < coalesce(old.variant_of, old.id) and m.role = 'user' order by m.id desc limit 1
        ) m cross join lateral message_json(m::messages) j;
    end if;
    a.verdict := case
        when old.id is null then 'not_found'
        when old.role <> 'model' then 'not_a_reply'
        when old.status in ('queued', 'running') then 'reply_unfinished'
        when goes_on and not is_cut_off(old) then 'not_cut_off'
        when question is null then 'question_gone'
    end;
    if a.verdict is not null then return a; end if;

    t.user_id := old.user_id;
    t.chatroom_id := old.chatroom_id;
    if goes_on then t.begun := old.content; end if;
    a := store_variant(
        coalesce(old.variant_of, old.id), false, case when goes_on then 'continue' else 'regenerate' end, limits, t);
    a.message := question;
    if a.verdict is null and once.key is not null then perform keep_answer(c.user_id, once, to_json(a)); end if;
    return a;
end
$$;
