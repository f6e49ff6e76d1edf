-- Sends a code to sign in by. See send_code.
create function api.send_otp(
    number text, kept text[], address inet, agent text, resend int, per_address int, per_day int, hash text, seconds int,
    sealed text, out verdict text, out wait int
) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select s.verdict, s.wait into verdict, wait
    from send_code('sign_in', number, kept, address, agent, resend, per_address, per_day, hash, seconds, sealed) s;
end
$$;

-- The number as it is stored, where it was written in a way that has two forms (stored_number).
create function api.send_otp_number(former text, normal text, out verdict text, out number text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select s into number from stored_number(former, normal) s;
end
$$;
