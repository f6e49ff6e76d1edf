-- Attachments of a user, in the order of these ids.
create or replace function attachments_json(owner uuid, ids uuid[]) returns json language plpgsql stable as $$
begin
    return (
        select coalesce(json_agg((
            select row_to_json(j) from (select a.id, a.media_type, a.bytes, a.name) j
        ) order by x.number), '[]')
        from unnest(ids) with ordinality as x (id, number) join attachments a on a.user_id = owner and a.id = x.id);
end
$$;

-- Whether a message may have these attachments, which nobody else takes until the transaction ends: NULL, or attachments_taken where
-- not all are the user's own and free, or attachments_too_large where they have more bytes together.
create or replace function check_files(owner uuid, ids uuid[], most_bytes bigint) returns text language plpgsql as $$
declare
    free int;
    total bigint;
begin
    select count(*), coalesce(sum(f.bytes), 0) into free, total from (
        select a.bytes from attachments a where a.user_id = owner and a.id = any(ids) and a.chatroom_id is null
        order by a.id for update
    ) f;
    return case when free < cardinality(ids) then 'attachments_taken' when total > most_bytes then 'attachments_too_large' end;
end
$$;

-- What a user's attachments take of the room that they have: a small one counts as 8 KB.
create or replace function stored_bytes(owner uuid) returns bigint language plpgsql stable as $$
begin
    return (select coalesce(sum(greatest(a.bytes, 8192)), 0) from attachments a where a.user_id = owner);
end
$$;
