-- Has a file sent, of which so many bytes are announced, and gives the id to store it under, and the user's tier. The limits are bytes
-- of a file, and of all that a user has stored: of basic and of pro.
--
-- verdict is idempotency_running where something came of the request before: what, upload_attachment_kept tells when the body's hash is
-- known.
create function api.upload_attachment_begin(
    caller caller, once once, per_minute int, announced bigint, file_limits bigint[], stored_limits bigint[],
    out verdict text, out standing text, out id uuid, out tier text
) language plpgsql security definer set search_path = public, pg_temp as $$
declare n int;
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, once, 'attachments', per_minute) b;
    if verdict in ('replayed', 'idempotency_mismatch') then verdict := 'idempotency_running'; end if;
    if verdict is not null then return; end if;
    select tier(u) into tier from users u where u.id = caller.user_id;
    n := case tier when 'pro' then 2 else 1 end;
    verdict := case
        when announced > file_limits[n] then 'file_too_large'
        when stored_bytes(caller.user_id) + announced > stored_limits[n] then 'storage_full'
    end;
    id := uuidv7(clock_timestamp());
end
$$;

-- Stores a piece of it. All pieces and the last step are one transaction.
create function api.upload_attachment_piece(caller caller, attachment uuid, number int, base64 text, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not has_session(caller) then
        verdict := 'session_ended';
        return;
    end if;
    insert into attachment_pieces (user_id, attachment_id, number, data)
    values (caller.user_id, attachment, upload_attachment_piece.number, decode(base64, 'base64'));
end
$$;

-- The last step: stores what the pieces are of. verdict is as above where the same request was faster, and the pieces are to be undone.
create function api.upload_attachment(
    caller caller, once once, attachment uuid, media_type text, bytes int, name text, stored_limits bigint[],
    out verdict text, out json json, out tier text
) language plpgsql security definer set search_path = public, pg_temp as $$
declare a attachments;
begin
    -- One of a user's at a time, so that what is stored already stays so until the commit.
    perform pg_advisory_xact_lock(storage_lock(caller.user_id));
    select b.verdict into verdict from begin_request(caller, once, null, 0) b;
    if verdict in ('replayed', 'idempotency_mismatch') then verdict := 'idempotency_running'; end if;
    if verdict is not null then return; end if;
    select tier(u) into tier from users u where u.id = caller.user_id;
    if stored_bytes(caller.user_id) + bytes > stored_limits[case tier when 'pro' then 2 else 1 end] then
        verdict := 'storage_full';
        return;
    end if;
    insert into attachments (user_id, id, media_type, bytes, name)
    values (
        caller.user_id, attachment, upload_attachment.media_type, upload_attachment.bytes, upload_attachment.name)
    returning * into a;
    select row_to_json(j) into json from (select a.id, a.media_type, a.bytes, a.name, a.created_at) j;
    if once.key is not null then perform keep_answer(caller.user_id, once, to_json(json::text)); end if;
end
$$;

-- What came of the request the first time; NULL where nothing did.
create function api.upload_attachment_kept(caller caller, once once, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    -- Who has no session is told of what is the matter, and not of this.
    if not is_signed_in(caller) then return; end if;
    select k.verdict, (k.answer #>> '{}')::json into verdict, json from kept_answer(caller.user_id, once) k;
end
$$;
