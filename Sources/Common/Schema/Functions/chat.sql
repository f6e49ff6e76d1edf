-- A room of a user's; one in the trash is not there.
create or replace function room_of(owner uuid, room uuid) returns setof chatrooms language sql stable as $$
    select r.* from chatrooms r where r.user_id = owner and r.id = room and r.deleted_at is null
$$;

-- Whether a user's plan allows a room to choose this model, or none (NULL), out of those of each tier.
create or replace function may_choose(owner uuid, model text, basic_models text[], pro_models text[]) returns boolean
language plpgsql stable as $$
begin
    return model is null or (
        select model = any(case tier(u) when 'pro' then pro_models else basic_models end) from users u where u.id = owner);
end
$$;
