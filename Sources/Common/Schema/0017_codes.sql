-- Counts a code that is to be sent, unless a limit is in the way: then it says which, and nothing is counted. In either case, how
-- many seconds have to pass until another may be sent.
--
-- Every number has its row of times, the newest first, over all that codes are for; so has every address, where addresses are
-- limited, and the day, where the site is. They are locked in this order until the caller's commit, so that of those who come
-- at once each is judged after the one before it.
create function count_otp_send(
    mobile text, address inet, resend int, per_address int, per_day int, out refusal text, out wait int
) language plpgsql as $$
declare
    number text := 'mobile:' || mobile;
    -- Of IPv6 each customer has 64 bits to choose from.
    place text := case when per_address > 0 then
        'address:' || case family(address) when 6 then network(set_masklen(address, 64))::text else host(address) end end;
    of_number timestamptz[];
    of_place timestamptz[];
    of_day int;
    at timestamptz;
    free_at timestamptz;
begin
    insert into otp_sends as s (key, sent) values (number, '{}')
    on conflict (key) do update set sent = s.sent returning sent into of_number;
    if place is not null then
        insert into otp_sends as s (key, sent) values (place, '{}')
        on conflict (key) do update set sent = s.sent returning sent into of_place;
    end if;
    if per_day > 0 then
        insert into otp_days as d (day, sent) values ((now() at time zone 'UTC')::date, 0)
        on conflict (day) do update set sent = d.sent returning sent into of_day;
    end if;
    at := clock_timestamp(); -- of the time after the wait for those before
    if of_day >= per_day then
        refusal := 'otp_budget';
        free_at := ((now() at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC';
    else
        if of_number[5] + interval '10 minutes' > at or of_number[10] + interval '1 day' > at
            or of_place[per_address] + interval '1 hour' > at
        then
            refusal := 'otp_limit';
        elsif of_number[1] + make_interval(secs => resend) > at then
            refusal := 'otp_too_soon';
        else
            of_number := (at || of_number)[1:10];
            update otp_sends set sent = of_number where key = number;
            if place is not null then
                of_place := (at || of_place)[1:per_address];
                update otp_sends set sent = of_place where key = place;
            end if;
            update otp_days set sent = sent + 1 where per_day > 0 and day = (now() at time zone 'UTC')::date;
        end if;
        free_at := greatest(
            of_number[1] + make_interval(secs => resend), of_number[5] + interval '10 minutes',
            of_number[10] + interval '1 day', of_place[per_address] + interval '1 hour');
    end if;
    wait := greatest(0, ceil(extract(epoch from free_at - at)));
end
$$;

-- By what its owner signed in; a first password wants a code that was entered a moment ago.
alter table sessions add signed_in_by text constraint sessions_signed_in_by check (signed_in_by in ('otp', 'password'));
