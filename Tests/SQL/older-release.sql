-- Fills a database of the release before with what 250 people had in it (OlderRelease.swift): rooms, 50,000 messages, branches, work that
-- is under way, and a row or more of everything else. Run as the owner, by a connection whose table `people` says who they are.
--
-- The temporary tables stay with the connection: by turns and under_way the test knows what people were shown.
set jit = off;

insert into users (id, mobile, username, timezone, mobile_verified_at, created_at)
select user_id, mobile, 'Person ' || n, case when n % 3 = 0 then 'Asia/Kolkata' else 'UTC' end,
    now() - interval '30 days', now() - interval '30 days'
from people;
insert into sessions (
    user_id, id, signed_in_by, refresh_hash, generation, is_unused, created_at, refreshed_at, last_used_at, expires_at, ip, user_agent)
select user_id, session_id, 'otp', refresh_hash, generation, is_unused, now() - interval '5 days', now() - interval '5 minutes',
    now() - interval '5 minutes', now() + interval '20 days', '203.0.113.7', 'Browser ' || n
from people;
update sessions s set ended_at = now(), end_reason = 'revoked' from people p where p.n = 248 and s.user_id = p.user_id;
insert into security_events (user_id, kind, ip, user_agent) select user_id, 'signed_in', '203.0.113.7', 'Browser ' || n from people;

-- Sentences of eight words, of which some are said often and most seldom.
create temp table sentences as
select n, string_agg(word, ' ' order by place) as content,
    search_words(md5('')::uuid, string_agg(word, ' ' order by place))::text as words
from (
    select n, place, 'word' || floor(2000 * power(random(), 2)) as word
    from generate_series(0, 499) n cross join generate_series(1, 8) place
) w group by n;

-- Ten rooms each. Some have no title yet, and one room of every tenth person is in the trash.
create temp table rooms as
select p.n, p.user_id, number, uuidv7(now() - interval '20 days' + number * interval '1 hour') as id,
    case when p.n not between 10 and 12 or number <> 3 then 'Room ' || number || ' of ' || p.n end as title
from people p cross join generate_series(0, 9) number;
insert into chatrooms (user_id, id, title, system_instruction, pinned, created_at, changed_at, sweep_at, retention_days, deleted_at)
select user_id, id, title, case when number = 2 then 'Be brief.' end, false, now() - interval '20 days', now() - interval '20 days', null,
    case when number = 4 then 3650 end, case when number = 7 and n % 10 = 0 then now() - interval '1 day' end
from rooms;

-- Ten questions a room, each with its reply. Some replies failed, and some were cancelled.
create temp table turns as
select t.n, t.user_id, t.number, t.room, t.turn, t.at, (t.at at time zone t.timezone)::date as day, t.status,
    uuidv7(t.at, 0, t.entropy) as question, uuidv7(t.at, 1, t.entropy) as reply,
    q.content as asked, q.words as asked_words,
    case t.status when 'failed' then '' else a.content end as answered, a.words as answered_words
from (
    select r.n, r.user_id, u.timezone, r.number, r.id as room, turn, right(gen_random_uuid()::text, 17) as entropy,
        now() - interval '9 days' + turn * interval '20 hours' + r.number * interval '1 minute' as at,
        case when r.number = 1 and turn = 3 then 'failed' when r.number = 2 and turn = 4 then 'cancelled' else 'done' end as status
    from rooms r join users u on u.id = r.user_id cross join generate_series(0, 9) turn
) t
join sentences q on q.n = (t.n * 97 + t.number * 31 + t.turn * 7) % 500
join sentences a on a.n = (t.n * 89 + t.number * 29 + t.turn * 11 + 250) % 500;
insert into messages (
    user_id, chatroom_id, id, role, content, status, error, model, finish_reason, usage, tokens, attempt, created_at, completed_at)
select user_id, room, question, 'user'::message_role, asked, 'done'::message_status, null::jsonb, null::text, null::text, null::jsonb,
    null::int, 0, at, at
from turns
union all
select user_id, room, reply, 'model', answered, status::message_status,
    case status when 'failed' then '{"code":"upstream_busy","detail":"The model is busy.","retryable":true}'::jsonb end,
    'gemini-3.8-flash', case status when 'done' then 'STOP' end,
    case status when 'done' then '{"prompt_tokens":10,"output_tokens":20,"total_tokens":30}'::jsonb end,
    20, 1, at, at + interval '3 seconds'
from turns;

-- A receipt when a message is sent and one when its reply ends, and what they come to in a day.
insert into ledger (user_id, id, day, kind, amount, reason, chatroom_id, message_id, created_at)
select user_id, reply, day, 'reserve', 1, 'message', room, reply, at from turns;
insert into ledger (user_id, id, day, kind, amount, reason, chatroom_id, message_id, prompt_tokens, output_tokens, total_tokens, created_at)
select user_id, uuidv7(at + interval '3 seconds'), day, (case status when 'failed' then 'refund' else 'charge' end)::ledger_kind,
    case status when 'failed' then -1 else 0 end, case status when 'failed' then 'upstream_busy' else status end, room, reply,
    case status when 'done' then 10 end, case status when 'done' then 20 end, case status when 'done' then 30 end, at + interval '3 seconds'
from turns;
insert into usage_days (user_id, day, reserved, refunded, charged, prompt_tokens, output_tokens, total_tokens)
select user_id, day, count(*), count(*) filter (where status = 'failed'), count(*) filter (where status <> 'failed'),
    10 * count(*) filter (where status = 'done'), 20 * count(*) filter (where status = 'done'), 30 * count(*) filter (where status = 'done')
from turns group by user_id, day;

-- What can be found. The worker has not come to one room's replies, and has set one reply aside.
insert into search_entries (user_id, chatroom_id, message_id, words)
select user_id, room, id, replace(words, right(md5(''), 8), right(user_id::text, 8))::tsvector
from (
    select user_id, room, question as id, asked_words as words, number, n from turns
    union all
    select user_id, room, reply, answered_words, number, n from turns where status <> 'failed'
) m where not (number = 5 and n < 2);
insert into search_queue (user_id, chatroom_id, id, set_aside_at, failures)
select user_id, room, reply, case when n = 1 and turn = 0 then now() - interval '10 minutes' end, (n = 1 and turn = 0)::int
from turns where number = 5 and n < 2;

-- Work that is under way: questions that were edited, two messages in a room, replies whose worker has died in the midst of it, replies
-- that wait for another try, and replies that continue one that was cut off.
create temp table under_way as
select t.user_id, t.room, f.made as branch, f.at, f.first as question, 'Asked in other words'::text as content,
    t.question as question_variant_of, uuidv7(f.at + interval '1 microsecond') as reply, ''::text as begun, null::uuid as reply_variant_of,
    'edit'::text as reason, 'ready'::text as state
from turns t cross join lateral fork(t.user_id, t.room, t.question) f where t.n % 5 = 0 and t.number = 0 and t.turn = 5
union all
select m.user_id, m.room, 0, m.at, uuidv7(m.at, 0, m.entropy), 'One more question, ' || m.k, null, uuidv7(m.at, 1, m.entropy), '', null,
    'message', case m.kind when 1 then 'ready' when 2 then 'running' else 'waiting' end
from (
    select t.user_id, t.room, t.n % 5 as kind, k, now() - interval '1 minute' + k * interval '1 second' as at,
        right(gen_random_uuid()::text, 17) as entropy
    from turns t cross join generate_series(1, 2) k
    where t.number = 1 and t.turn = 9 and t.n % 5 in (1, 2, 3) and (k = 1 or t.n % 5 = 1)
) m
union all
select t.user_id, t.room, f.made, f.at, null, null, null, f.first, t.answered, t.reply, 'continue', 'ready'
from turns t cross join lateral fork(t.user_id, t.room, t.reply) f where t.n % 5 = 4 and t.number = 2 and t.turn = 4;

insert into messages (
    user_id, chatroom_id, id, role, content, status, created_at, completed_at, branch, variant_of, attempt)
select user_id, room, question, 'user'::message_role, content, 'done'::message_status, at, at, branch, question_variant_of, 0
from under_way where question is not null
union all
select user_id, room, reply, 'model', begun, (case state when 'running' then state else 'queued' end)::message_status, at, null, branch,
    reply_variant_of, (state <> 'ready')::int
from under_way;
insert into jobs (user_id, lane, id, kind, day, state, attempts, worker, leased_until, started_at, run_at, partial)
select o.user_id, o.room, o.reply, 'reply', (o.at at time zone u.timezone)::date, o.state::job_state, (o.state <> 'ready')::int,
    case o.state when 'running' then gen_random_uuid() end, case o.state when 'running' then now() - interval '1 second' end,
    case o.state when 'ready' then null else now() - interval '30 seconds' end,
    case o.state when 'waiting' then now() + interval '1 second' else now() end,
    case o.state when 'waiting' then 'Some words of the first' end
from under_way o join users u on u.id = o.user_id;
insert into deltas (user_id, message_id, attempt, start, text)
select user_id, reply, 1, 0, 'Half of what ' from under_way where state = 'running';
insert into ledger (user_id, id, day, kind, amount, reason, chatroom_id, message_id, created_at)
select o.user_id, o.reply, j.day, 'reserve', 1, o.reason, o.room, o.reply, o.at
from under_way o join jobs j on j.user_id = o.user_id and j.lane = o.room and j.id = o.reply;
insert into usage_days as d (user_id, day, reserved) select user_id, day, count(*) from jobs where kind = 'reply' group by user_id, day
on conflict (user_id, day) do update set reserved = d.reserved + excluded.reserved;

-- Another generation of jobs: titles and summaries, in each state.
insert into job_generations (number) values (2);
select setval('newest_job_generation', 2);
insert into jobs (user_id, lane, id, kind, payload, state, attempts, worker, leased_until, started_at, run_at)
select c.user_id, k.lane, k.lane, c.kind::job_kind, jsonb_build_object('chatroom_id', c.room, 'branch', 0, 'upto', c.upto), s.state,
    (s.state <> 'ready')::int, case s.state when 'running' then gen_random_uuid() end,
    case s.state when 'running' then now() - interval '1 second' end,
    case s.state when 'running' then now() - interval '1 minute' end, now()
from (
    select 'title' as kind, n, user_id, room, null::uuid as upto from turns where number = 3 and turn = 0
    union all
    select 'summary', n, user_id, room, reply from turns where number = 4 and turn = 6
) c
join (values (10, 'ready'::job_state), (11, 'waiting'), (12, 'running')) s (n, state) on s.n = c.n
cross join lateral (select md5(c.kind || c.room)::uuid as lane) k;
insert into summaries (user_id, chatroom_id, upto, content, tokens, model)
select user_id, room, reply, 'A summary.', 3, 'gemini-3.8-flash' from turns where n = 13 and number = 4 and turn = 6;

-- Files of two pieces: sent with a message, or not sent yet.
create temp table files as
select n, user_id, gen_random_uuid() as id, case when n < 20 then room end as room, question,
    convert_to(repeat('line ' || n || E'\n', 20000), 'UTF8') as data
from turns where n < 25 and number = 9 and turn = 0;
insert into attachments (user_id, id, chatroom_id, media_type, bytes, name)
select user_id, id, room, 'text/plain', length(data), 'lines.txt' from files;
insert into attachment_pieces (user_id, attachment_id, number, data)
select user_id, id, k, substr(data, k * 98304 + 1, 98304) from files cross join generate_series(0, (length(data) - 1) / 98304) k;
update messages m set attachments = array[f.id] from files f
where f.room is not null and m.user_id = f.user_id and m.chatroom_id = f.room and m.id = f.question;

insert into shares (user_id, id, chatroom_id, token_hash, title, messages, created_at, expires_at)
select p.user_id, p.share_id, r.id, p.share_hash, r.title, (
        select json_agg(json_build_object('role', m.role, 'content', m.content, 'created_at',
            m.created_at + case m.role when 'model' then interval '1 millisecond' else interval '0' end) order by m.id)
        from messages m where m.user_id = r.user_id and m.chatroom_id = r.id
    ), now() - interval '1 day', now() + interval '29 days'
from people p join rooms r on r.n = p.n and r.number = 6 where p.n < 100;

-- Lists of rooms as that release kept them. Nobody may be shown these, which say that there are none.
insert into cache (key, value, expires_at)
select 'chatrooms:' || user_id, '{"chatrooms":[],"next_cursor":null}', now() + interval '5 minutes' from people;
insert into request_rates (user_id, kind, free_at) select user_id, 'rooms', now() from people;
insert into otp_sends (key, sent, origins)
select 'mobile:' || mobile, array[now() - interval '2 days'], '{address:203.0.113.7}' from people where n > 50;
insert into otp_days (day, sent) values (current_date - 1, 250);
insert into login_failures (key, mobile, failures, failed_at, until)
select 'mobile:' || mobile, mobile, 2, now() - interval '1 hour', '-infinity' from people where n = 40;
insert into unowned_events (user_id, kind, ip) values (gen_random_uuid(), 'sign_in_failed', '203.0.113.9');
insert into upstream_holds (key, model, until, reason) values ('abcdef', 'another-model', now() + interval '1 minute', 'quota');
insert into model_times (model, milliseconds) values ('gemini-3.8-flash', 900);
insert into workers (id, host, pid, replies_done, replies_failed) values (gen_random_uuid(), 'here', 4711, 24000, 250);
update past_workers set replies_done = 1000, replies_failed = 10;
insert into pro_grants (user_id, until) select user_id, 'infinity' from people where n = 30;
insert into stripe_customers (user_id, customer, checked_at, agreed)
select user_id, 'cus_of_before', now() - interval '1 hour', true from people where n = 31;
insert into subscriptions (
    user_id, id, status, price, livemode, current_period_end, cancel_at_period_end, is_paid, created_at, grace, seen_at)
select user_id, 'sub_of_before', 'active', 'price_sandbox_pro', false, now() + interval '20 days', false, true, now() - interval '10 days',
    interval '3 days', now() - interval '1 hour' from people where n = 31;
insert into checkouts (user_id, session) select user_id, 'cs_of_before' from people where n = 31;
insert into stripe_events (id, type, customer, api_version, created_at, applied_at)
values ('evt_of_before', 'customer.subscription.updated', 'cus_of_before', '2026-01-01', now() - interval '1 hour', now());
insert into stripe_checks (started_at, finished_at, compared) values (now() - interval '1 hour', now() - interval '1 hour', 1);
