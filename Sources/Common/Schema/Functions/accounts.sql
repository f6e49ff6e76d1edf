-- The number of a proven account that was stored as numbers were read before they had a normal form, or in that form. No row where there
-- is none.
create or replace function stored_number(former text, normal text) returns setof text language sql stable as $$
    select u.mobile from users u
    where u.mobile in (former, normal) and u.mobile_verified_at is not null
    order by u.mobile = former limit 1
$$;

-- How many messages of a day are taken: equals the sum of the ledger, whatever happens.
create or replace function used_in_day(owner uuid, of_day date) returns int language plpgsql stable as $$
declare
    charged int := (select d.charged from usage_days d where d.user_id = owner and d.day = of_day);
    open int := (select count(*) from jobs j where j.user_id = owner and j.day = of_day);
begin
    return coalesce(charged, 0) + open;
end
$$;
