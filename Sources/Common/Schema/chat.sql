create table chatrooms (
    user_id uuid not null references users on delete cascade,
    id uuid not null default uuidv7(clock_timestamp()),
    title text constraint chatrooms_title_length check (char_length(title) <= 100),
    model text,
    system_instruction text,
    pinned boolean not null default false,
    archived boolean not null default false,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    primary key (user_id, id)
);

-- The version of a user's list of rooms is the sum of its shards: see Chatroom.bumpList.
create table chatroom_list_versions (
    user_id uuid not null references users on delete cascade,
    shard smallint not null,
    version bigint not null,
    primary key (user_id, shard)
) with (fillfactor = 50);

-- The primary key serves the page of a room and the one message alike, and sorts by time.
create table messages (
    user_id uuid not null,
    chatroom_id uuid not null,
    id uuid not null,
    role text not null constraint messages_role check (role in ('user', 'model')),
    content text not null,
    status text not null constraint messages_status check (status in ('queued', 'running', 'done', 'failed', 'cancelled')),
    error jsonb,
    model text,
    finish_reason text,
    usage jsonb,
    created_at timestamptz not null,
    completed_at timestamptz,
    primary key (user_id, chatroom_id, id),
    constraint messages_chatroom foreign key (user_id, chatroom_id) references chatrooms on delete cascade
) with (fillfactor = 85);
