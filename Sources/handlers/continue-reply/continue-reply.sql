-- Has a reply made that goes on from the text of one that was cut off, on a branch of its own.
create function api.continue_reply(caller caller, once once, room uuid, message uuid, limits int[])
returns turn_answer language plpgsql security definer set search_path = public, pg_temp as $$
begin
    return variant_of_reply(caller, once, room, message, limits, true);
end
$$;
