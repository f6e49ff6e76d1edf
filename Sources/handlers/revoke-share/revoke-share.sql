-- Ends a share of the caller's.
create function api.revoke_share(caller caller, per_minute int, share uuid, out verdict text, out standing text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    select b.verdict, b.standing into verdict, standing from begin_request(caller, null, 'sharing', per_minute) b;
    if verdict is not null then return; end if;
    delete from shares s where s.user_id = caller.user_id and s.id = share;
    if not found then verdict := 'not_found'; end if;
end
$$;
