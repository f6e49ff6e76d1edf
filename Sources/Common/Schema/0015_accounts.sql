-- Accounts: what limits codes, what slows guessing, how sessions are renewed, and what happened.

-- For when the day's limit starts again (IANA name).
alter table users add timezone text not null default 'UTC';
-- The address and the program from which a number that is not proven yet was signed up.
alter table users add signed_up_from text;

-- The times at which codes were sent to a number or asked for by an address: as many as the limits look back on.
create table otp_sends (
    key text primary key,
    sent timestamptz[] not null
);
-- What was sent in a day, for the operator's budget.
create table otp_days (
    day date primary key,
    sent int not null
);

-- A session's refresh token has a generation: the one before it is good for another 30 s, for the tab that came second.
-- An older one ends the session.
alter table sessions
    add generation int not null default 0,
    add refreshed_at timestamptz not null default now(),
    add end_reason text;

-- Wrong passwords, by account or by address, and until when the next has to wait.
create table login_failures (
    key text primary key,
    failures int not null,
    failed_at timestamptz not null,
    until timestamptz not null
);
create index login_failures_over on login_failures (failed_at);

-- What an owner should know of.
create table security_events (
    user_id uuid not null,
    id uuid not null default uuidv7(clock_timestamp()),
    kind text not null,
    ip inet,
    user_agent text,
    detail jsonb,
    created_at timestamptz not null default now(),
    primary key (user_id, id)
);
