-- What a room showed when it was shared, for whoever has the link. It does not change, whatever becomes of the room's messages;
-- it goes with the room, and is not shown while that is in the trash.
create table shares (
    user_id uuid not null references users on delete cascade,
    id uuid not null,
    chatroom_id uuid not null,
    token_hash text not null constraint shares_token unique,
    title text,
    messages json not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (user_id, id),
    constraint shares_chatroom foreign key (user_id, chatroom_id) references chatrooms on delete cascade
);
create index shares_of_room on shares (user_id, chatroom_id);
create index shares_listed on shares (user_id, created_at, id);
create index shares_over on shares (expires_at);

-- Whether a user has less than so many shares. Whoever shares at the same moment waits here.
--
-- A function, because what is counted after the wait has to be what was committed meanwhile.
create function may_share(owner uuid, most int) returns boolean language plpgsql as $$
begin
    perform pg_advisory_xact_lock(uuid_hash_extended(owner, 6));
    return (select count(*) < most from shares s where s.user_id = owner and s.expires_at > now());
end
$$;
