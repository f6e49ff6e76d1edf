-- Begins a branch of a room in place of the message `original` and of what came after it, and has the room show it. Gives its
-- number, the id and the time of the message that is to be written there first, and what that one's JSON says of the variants
-- at its place. `original` is the first of them, which is no branch's first: what its branch shows before it is what all of
-- them follow.
--
-- A function, so that forks of a room are one after the other: each of its statements sees what was committed before the
-- room's row was had, and times are taken after.
create function fork(owner uuid, room uuid, original uuid) returns table (made int, first uuid, at timestamptz, siblings json)
language plpgsql as $$
begin
    -- Before the room's row, because whoever deletes rooms takes them in this order.
    perform pg_advisory_xact_lock_shared(uuid_hash_extended(owner, 1));
    update chatrooms r set branch = r.branches + 1, branches = r.branches + 1
    where r.user_id = owner and r.id = room returning r.branch into made;
    if not found then return; end if;
    at := clock_timestamp();
    first := uuidv7(at);
    insert into branches (user_id, chatroom_id, id, path, below, chosen_at) values (owner, room, 0, '{}', '{}', '-infinity')
    on conflict do nothing;
    insert into branches (user_id, chatroom_id, id, path, below, chosen_at)
    select owner, room, made, b.path || b.id, b.below || m.id, at
    from messages m join branches b on b.user_id = owner and b.chatroom_id = room and b.id = m.branch
    where m.user_id = owner and m.chatroom_id = room and m.id = original;
    update messages m set variant_of = m.id
    where m.user_id = owner and m.chatroom_id = room and m.id = original and m.variant_of is null;
    siblings := (
        select json_build_object(
            'count', count(*) + 1, 'number', count(*) + 1, 'ids', to_json(array_agg(m.id order by m.id) || first))
        from messages m where m.user_id = owner and m.chatroom_id = room and m.variant_of = original);
    return next;
end
$$;
