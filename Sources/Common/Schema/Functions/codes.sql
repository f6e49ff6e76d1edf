-- Stores a one-time password for a number and queues its delivery, unless a limit forbids it (count_code): verdict names the limit then.
-- wait is how many seconds have to pass until another code may be sent. sealed is the code as the job carries it, and NULL where nobody
-- delivers it.
create or replace function send_code(
    of_purpose text, number text, kept text[], address inet, agent text, resend int, per_address int, per_day int,
    hash text, seconds int, sealed text, out verdict text, out wait int
) language plpgsql as $$
declare
    ends_at timestamptz;
    job uuid;
begin
    select c.refusal, c.wait into verdict, wait
    from count_code(number, kept, address, agent, resend, per_address, per_day) c;
    if verdict is not null then return; end if;

    -- Codes that could still be entered are remembered: see try_code.
    insert into otps as o (mobile, purpose, code_hash, expires_at, asked_from)
    values (
        number, of_purpose, hash, clock_timestamp() + make_interval(secs => seconds), login_address_key(address))
    on conflict (mobile, purpose) do update set
        code_hash = excluded.code_hash, attempts = 0, sent_at = now(), expires_at = excluded.expires_at,
        asked_from = excluded.asked_from, elsewhere = 0,
        superseded = case
            when o.expires_at > now() and o.attempts < 5 then (o.code_hash || o.superseded)[1:5]
            else '{}'
        end
    returning o.expires_at into ends_at;

    if sealed is not null then
        job := uuidv7(clock_timestamp());
        insert into jobs (user_id, lane, id, kind, payload)
        values (
            md5('otp:' || number)::uuid, job, job, 'otp', jsonb_build_object(
                'mobile', number, 'purpose', of_purpose, 'expires_at', ends_at, 'sealed', sealed));
    end if;
end
$$;

-- Counts a guess at a code and judges it. hashes are those that the guess may match. verdict is NULL where it is right: the code is used
-- up then. Otherwise it is otp_superseded or otp_invalid, and attempts_left is how many tries are left.
--
-- A code has five tries, of which two may come from another address than the one that asked for it: otherwise anybody could use up
-- the tries of a code that somebody else waits for. The row is locked first, so that tries at the same time are counted too.
--
-- A code that was sent before the current one, and arrived late, is known and does not count: it opens nothing, so that whoever
-- guesses still has five tries for the one code in a million.
create or replace function try_code(
    of_purpose text, number text, hashes text[], address inet, out verdict text, out attempts_left int
) language plpgsql as $$
declare
    o otps;
    is_elsewhere boolean;
    is_right boolean;
begin
    -- One for each key of TOKEN_KEYS: with more of them, one try would be many guesses.
    if cardinality(hashes) > 8 then raise check_violation using message = 'more hashes than there are keys'; end if;
    select * into o from otps c
    where c.mobile = number and c.purpose = of_purpose and c.attempts < 5 and c.expires_at > now()
    for update;
    is_elsewhere := coalesce(o.asked_from <> coalesce(login_address_key(address), ''), false);
    if o.mobile is null or is_elsewhere and o.elsewhere >= 2 then
        verdict := 'otp_invalid';
        attempts_left := 0;
        return;
    end if;

    is_right := o.code_hash = any(hashes);
    if not is_right and o.superseded && hashes then
        verdict := 'otp_superseded';
    else
        if not is_right then verdict := 'otp_invalid'; end if;
        o.attempts := o.attempts + 1;
        if is_elsewhere then o.elsewhere := o.elsewhere + 1; end if;
        update otps c set attempts = o.attempts, elsewhere = o.elsewhere,
            expires_at = case when is_right then '-infinity' else c.expires_at end
        where c.mobile = number and c.purpose = of_purpose;
    end if;
    attempts_left := least(5 - o.attempts, case when is_elsewhere then 2 - o.elsewhere end);
end
$$;
