-- The plan that a user is on now.
create or replace function tier(u users) returns text language sql stable as $$
    select case when u.pro_until > now() then 'pro' else 'basic' end
$$;

-- A user as their own requests see them.
create or replace function user_json(u users) returns table (json json) language sql stable as $$
    select row_to_json(j) from (
        select u.id, u.mobile, u.username, u.timezone, u.retention_days, tier(u) as tier,
            u.mobile_verified_at is not null as mobile_verified, u.created_at
    ) j
$$;

-- Microseconds since 1970, as the cursors of lists have times.
create or replace function to_micros(at timestamptz) returns bigint language sql stable parallel safe as $$
    select (extract(epoch from at) * 1000000)::bigint
$$;
create or replace function from_micros(micros bigint) returns timestamptz language sql stable parallel safe as $$
    select 'epoch'::timestamptz + micros * interval '1 microsecond'
$$;
