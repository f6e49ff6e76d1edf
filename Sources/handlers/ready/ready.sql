-- What is not there, as a JSON array: database, schema, worker. newest is the last migration that the program knows.
create function api.ready(newest text, out verdict text, out is_read_only boolean, out missing json)
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
    is_read_only := pg_is_in_recovery() or current_setting('transaction_read_only')::boolean;
    if is_read_only then
        missing := '["database"]';
        return;
    end if;
    missing := to_json(array_remove(array[
        case when not exists (select from migrations m where m.name = newest) then 'schema' end,
        case when not exists (select from workers w where w.seen_at > now() - interval '2 minutes') then 'worker' end
    ], null));
end
$$;
