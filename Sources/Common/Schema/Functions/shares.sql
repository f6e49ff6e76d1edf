-- Whether a user has less than so many shares. Whoever shares at the same moment waits here.
--
-- A function, because what is counted after the wait has to be what was committed meanwhile.
create or replace function may_share(owner uuid, most int) returns boolean language plpgsql as $$
begin
    perform pg_advisory_xact_lock(shares_lock(owner));
    return (select count(*) < most from shares s where s.user_id = owner and s.expires_at > now());
end
$$;

-- What the handlers make a share's answer of (Share.swift): whose it is, its hash, and the JSON of the rest as a string.
create or replace function share_json(s shares) returns table (json json) language sql stable as $$
    select row_to_json(j) from (
        select s.user_id, s.id, s.token_hash as hash, (
            select row_to_json(j)::text from (select s.id, s.chatroom_id, s.title, s.created_at, s.expires_at) j
        ) as json
    ) j
$$;
