-- What somebody with limits has reserved of a day, so that a message looks at one row, and moves it: before, the open jobs of the user
-- were counted for each, hundreds in a flood. `reserved - refunded` is what used_in_day() counts, except on the day on which an
-- operator begins to limit: what was sent while nobody was limited is not held against anybody.
alter table usage_days
    add reserved int not null default 0,
    add refunded int not null default 0,
    add free_at timestamptz not null default 'epoch', -- of the minute's limit: see request_rates
    alter charged set default 0,
    alter prompt_tokens set default 0, alter output_tokens set default 0, alter total_tokens set default 0,
    set (fillfactor = 50);
update usage_days set reserved = charged;
insert into usage_days as d (user_id, day, reserved) select user_id, day, count(*) from jobs where day is not null group by user_id, day
on conflict (user_id, day) do update set reserved = d.reserved + excluded.reserved;

drop function check_quota;
drop type quota;

-- As before, and what is given back is counted.
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
