-- A message, and where it stands where it is a reply that is queued. Where its end is waited for, and has not come, its status alone.
create function api.get_message(
    caller caller, room uuid, message uuid, waits_for_end boolean, default_model text,
    out verdict text, out status text, out json json, out "position" int, out seconds int
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
    found_message record;
    m messages;
    q queue_place;
begin
    if not is_signed_in(caller) then
        verdict := 'session_ended';
        return;
    end if;
    -- One statement, and so one moment: the text of a reply that runs is in another table than that of one that has ended.
    select o as message, case
            when not (waits_for_end and o.status in ('queued', 'running')) then (select j.json from message_json(o) j)
        end as json
    into found_message from message_of(caller.user_id, room, message) o;
    if not found then
        verdict := 'not_found';
        return;
    end if;
    m := found_message.message;
    status := m.status;
    json := found_message.json;
    if json is null then return; end if;
    if m.status = 'running' then
        "position" := 0;
    elsif m.status = 'queued' then
        q := place_in_queue(m, default_model);
        "position" := 1 + q.before + q.rooms;
        -- Its own time, that of those before it in its room, and its share of the time in which those who are at work get through the
        -- rooms before it.
        if q.is_whole then
            seconds := ceil(q.seconds * (
                1 + q.before + q.running + case q.rooms when 0 then 0 else q.rooms::float8 / nullif(q.calls, 0) end));
        end if;
    end if;
end
$$;
