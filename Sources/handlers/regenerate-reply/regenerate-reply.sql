-- Has another reply made in the place of one that is finished, on a branch of its own.
create function api.regenerate_reply(caller caller, once once, room uuid, message uuid, limits int[])
returns turn_answer language plpgsql security definer set search_path = public, pg_temp as $$
begin
    return variant_of_reply(caller, once, room, message, limits, false);
end
$$;
