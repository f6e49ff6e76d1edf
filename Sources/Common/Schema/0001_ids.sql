-- UUID version 7 (RFC 9562, 5.7) with the twelve bits after the milliseconds as their fraction: ids sort by time to a
-- quarter of a microsecond, by the clock of the one server that holds the user's rows, whichever host sent the statement.
-- One expression, so that Postgres puts it in place of its call.
create function uuidv7(at timestamptz) returns uuid language sql volatile parallel safe as $$
    select (
        lpad(to_hex((floor(date_part('epoch', at) * 1000))::bigint), 12, '0')
        || to_hex(28672 + (date_part('microseconds', at)::int % 1000) * 4096 / 1000)
        || right(gen_random_uuid()::text, 17)
    )::uuid
$$;
