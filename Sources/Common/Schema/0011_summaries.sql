-- What stands in for the older messages of a conversation: everything up to and with the message `upto`. A conversation that
-- holds that message grew from the same ones, so a summary serves every branch that holds it.
create table summaries (
    user_id uuid not null,
    chatroom_id uuid not null,
    id uuid not null default uuidv7(clock_timestamp()),
    upto uuid not null,
    content text not null,
    tokens int not null,
    model text,
    usage jsonb,
    created_at timestamptz not null default now(),
    primary key (user_id, chatroom_id, id),
    constraint summaries_upto unique (user_id, chatroom_id, upto)
);
