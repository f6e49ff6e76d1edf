create or replace function uuidv7(at timestamptz) returns uuid language sql volatile parallel safe as $$
    select uuidv7(at, 0, right(gen_random_uuid()::text, 17))
$$;

-- A uuidv7 that is `after` quarters of a microsecond later. `entropy` is the rest of it, from the fourth hyphen on: the ids of a message
-- and of its reply have it from one call of the generator.
create or replace function uuidv7(at timestamptz, after int, entropy text) returns uuid language sql stable parallel safe as $$
    select (
        lpad(to_hex((floor(date_part('epoch', at) * 1000))::bigint), 12, '0')
        || to_hex(28672 + (date_part('microseconds', at)::int % 1000) * 4096 / 1000 + after)
        || entropy
    )::uuid
$$;
