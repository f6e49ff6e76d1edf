-- What a room showed when it was shared, for whoever has the link; what is revoked, over or paused is like what never was.
create function api.get_shared(hash text, out verdict text, out json json)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select row_to_json(j) into json from (
        select s.title, s.created_at, s.expires_at, s.messages
        from shares s join chatrooms r on r.user_id = s.user_id and r.id = s.chatroom_id and r.deleted_at is null
        where s.token_hash = hash and s.expires_at > now()
    ) j;
    if not found then verdict := 'not_shared'; end if;
end
$$;
