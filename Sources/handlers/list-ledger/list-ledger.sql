-- The entries of the caller's ledger, the newest first, at most so many, from before the entry `before` on.
create function api.list_ledger(caller caller, before uuid, most int)
returns table (verdict text, place text, entry json) language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not is_signed_in(caller) then
        return query select 'session_ended', '', null::json;
        return;
    end if;
    return query
        select null, l.id::text, (select row_to_json(j) from (
            select l.id, l.kind, l.amount, l.reason, l.message_id, l.chatroom_id, l.day,
                case when l.total_tokens is not null then json_build_object(
                    'prompt', l.prompt_tokens, 'output', l.output_tokens, 'total', l.total_tokens) end as tokens,
                l.created_at
        ) j)
        from ledger l
        where l.user_id = caller.user_id and l.id < coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        order by l.id desc limit most;
end
$$;
