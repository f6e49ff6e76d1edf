-- What users may send and what they have sent. A message that makes a reply reserves a place in its day; the reply, when it is
-- finished, charges it, or gives it back. Each is a row of the ledger with its reason: +1, 0, -1.
create type ledger_kind as enum ('reserve', 'charge', 'refund');

create table ledger (
    user_id uuid not null,
    id uuid not null default uuidv7(clock_timestamp()), -- of a reservation the reply's: it has but one
    day date not null, -- the user's
    kind ledger_kind not null,
    amount int not null,
    reason text not null,
    chatroom_id uuid not null,
    message_id uuid not null,
    prompt_tokens int,
    output_tokens int,
    total_tokens int,
    created_at timestamptz not null default clock_timestamp(),
    primary key (user_id, id)
);

-- What was charged in a day. No message moves it: all those of a user would wait for its row until each other's commit. What is
-- reserved are the jobs of unfinished replies, and whoever ends these, many at a time, moves this.
create table usage_days (
    user_id uuid not null,
    day date not null,
    charged int not null,
    prompt_tokens bigint not null,
    output_tokens bigint not null,
    total_tokens bigint not null,
    primary key (user_id, day)
);

alter table jobs add day date; -- in which a reply was asked for

-- What was under way when this came.
with open as (
    update jobs j set day = (now() at time zone u.timezone)::date from users u
    where u.id = j.user_id and j.kind = 'reply' returning j.user_id, j.lane, j.id, j.day
)
insert into ledger (user_id, id, day, kind, amount, reason, chatroom_id, message_id)
select user_id, id, day, 'reserve', 1, 'message', lane, id from open;

-- How many messages of a day are taken: equals the sum of the ledger, whatever happens.
create function used_in_day(owner uuid, of_day date) returns int language sql stable as $$
    select coalesce((select d.charged from usage_days d where d.user_id = owner and d.day = of_day), 0)
        + (select count(*) from jobs j where j.user_id = owner and j.day = of_day)::int
$$;

-- How a quota stands with the message that asks: for its day, and for the minute before it. Counts are NULL where nothing limits.
create type quota as (
    refusal text, day date, per_day int, used int, resets_at timestamptz, day_seconds int, per_minute int, in_minute int,
    minute_seconds int
);

-- Whether a limited user may send another message now (a limit of 0 is none). Of messages that come at once each is judged after
-- the one before it is committed: a function, because what is counted after the wait has to be what was committed meanwhile.
create function check_quota(owner uuid, zone text, per_day int, per_minute int) returns quota language plpgsql as $$
declare
    q quota;
    at timestamptz;
    oldest timestamptz;
begin
    perform pg_advisory_xact_lock(uuid_hash_extended(owner, 2));
    at := clock_timestamp();
    q.day := (at at time zone zone)::date;
    q.per_day := nullif(per_day, 0);
    q.per_minute := nullif(per_minute, 0);
    if q.per_day is not null then
        q.used := used_in_day(owner, q.day);
        q.resets_at := (q.day + 1)::timestamp at time zone zone;
        q.day_seconds := ceil(extract(epoch from q.resets_at - at));
        if q.used >= q.per_day then
            q.refusal := 'daily_limit_reached';
            return q;
        end if;
        q.used := q.used + 1;
    end if;
    if q.per_minute is not null then
        select count(*), min(n.created_at) into q.in_minute, oldest from (
            select l.created_at from ledger l where l.user_id = owner and l.kind = 'reserve'
            order by l.id desc limit per_minute
        ) n where n.created_at > at - interval '1 minute';
        q.minute_seconds := ceil(extract(epoch from coalesce(oldest, at) + interval '1 minute' - at));
        if q.in_minute >= q.per_minute then
            q.refusal := 'rate_limited';
            return q;
        end if;
        q.in_minute := q.in_minute + 1;
    end if;
    return q;
end
$$;

-- Ends a reply that is not finished and keeps what has come of it; one that is finished stays as it is. Gives the message as
-- it is then. What has come is charged; where nothing has, the place in the day is free again.
create or replace function cancel_reply(owner uuid, room uuid, reply uuid) returns setof messages language plpgsql as $$
declare
    of_day date;
    has_come boolean;
begin
    delete from jobs j where j.user_id = owner and j.lane = room and j.id = reply and j.kind = 'reply'
    returning j.day into of_day;
    if found then
        update messages m set
            status = 'cancelled', completed_at = clock_timestamp(),
            content = case m.status when 'running' then partial_text(owner, reply, m.attempt) else '' end
        where m.user_id = owner and m.chatroom_id = room and m.id = reply
        returning m.content <> '' into has_come;
        if of_day is not null then
            insert into ledger (user_id, day, kind, amount, reason, chatroom_id, message_id) values (
                owner, of_day, case when has_come then 'charge'::ledger_kind else 'refund' end,
                case when has_come then 0 else -1 end, 'cancelled', room, reply);
            if has_come then
                insert into usage_days as d values (owner, of_day, 1, 0, 0, 0)
                on conflict (user_id, day) do update set charged = d.charged + 1;
            end if;
        end if;
        delete from deltas d where d.user_id = owner and d.message_id = reply;
        perform pg_notify('cancelled', reply::text), pg_notify('replies', reply::text);
    end if;
    return query select * from messages m where m.user_id = owner and m.chatroom_id = room and m.id = reply;
end
$$;

-- The newest definition deletes all there is.
create or replace function delete_user(owner uuid) returns boolean language plpgsql as $$
declare number text;
begin
    perform begin_deletion(owner);
    -- Sessions, rooms and events go with it.
    delete from users u where u.id = owner returning u.mobile into number;
    if not found then return false; end if;
    delete from deltas where user_id = owner;
    delete from search_queue where user_id = owner;
    delete from messages where user_id = owner;
    delete from search_entries where user_id = owner;
    delete from branches where user_id = owner;
    delete from summaries where user_id = owner;
    delete from idempotency_keys where user_id = owner;
    delete from ledger where user_id = owner;
    delete from usage_days where user_id = owner;
    delete from otps where mobile = number;
    delete from otp_sends where key = 'mobile:' || number;
    delete from login_failures where key = 'mobile:' || number;
    -- A code on its way: jobs that send one belong to the number.
    delete from jobs where user_id = md5('otp:' || number)::uuid;
    return true;
end
$$;
