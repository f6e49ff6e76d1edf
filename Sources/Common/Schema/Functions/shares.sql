-- What the handlers make a share's answer of (Share.swift): whose it is, its hash, and the JSON of the rest as a string.
create or replace function share_json(s shares) returns table (json json) language sql stable as $$
    select row_to_json(j) from (
        select s.user_id, s.id, s.token_hash as hash, (
            select row_to_json(j)::text from (select s.id, s.chatroom_id, s.title, s.created_at, s.expires_at) j
        ) as json
    ) j
$$;
