-- What an attachment is; its bytes come in pieces.
create function api.get_attachment(
    caller caller, attachment uuid, out verdict text, out media_type text, out bytes int, out name text
) language plpgsql security definer set search_path = public, pg_temp as $$
declare a attachments;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select * into a from attachments f where f.user_id = caller.user_id and f.id = attachment;
    -- It is not there while its room is in the trash.
    if found and a.chatroom_id is not null then perform from room_of(a.user_id, a.chatroom_id); end if;
    if not found then
        verdict := 'not_found';
        return;
    end if;
    media_type := a.media_type;
    bytes := a.bytes;
    name := a.name;
end
$$;

-- A piece of its bytes, by its number from 0; not_found where it has been deleted meanwhile.
create function api.get_attachment_piece(caller caller, attachment uuid, number int, out verdict text, out base64 text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not has_session(caller) then
        verdict := 'session_ended';
        return;
    end if;
    select replace(encode(p.data, 'base64'), E'\n', '') into base64 from attachment_pieces p
    where p.user_id = caller.user_id and p.attachment_id = attachment and p.number = get_attachment_piece.number;
    if not found then verdict := 'not_found'; end if;
end
$$;
