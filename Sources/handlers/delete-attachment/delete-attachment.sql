-- Deletes an attachment that no message has.
create function api.delete_attachment(caller caller, attachment uuid, out verdict text)
language plpgsql security definer set search_path = public, pg_temp as $$
declare a attachments;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    -- Whoever sends it at this moment is waited for.
    select * into a from attachments f where f.user_id = caller.user_id and f.id = attachment for update;
    if a.id is null then
        verdict := 'not_found';
    elsif a.chatroom_id is null then
        delete from attachments f where f.user_id = a.user_id and f.id = a.id;
    else
        -- It is not there while its room is in the trash.
        perform from room_of(a.user_id, a.chatroom_id);
        verdict := case when found then 'attachment_sent' else 'not_found' end;
    end if;
end
$$;
