create table users (
    id uuid primary key default uuidv7(clock_timestamp()),
    mobile text not null constraint users_mobile_key unique constraint users_mobile_form check (mobile ~ '^\+[0-9]{6,15}$'),
    username text constraint users_username_length check (char_length(username) between 1 and 80),
    password_hash text,
    tier text not null default 'basic' constraint users_tier check (tier in ('basic', 'pro')),
    mobile_verified_at timestamptz,
    created_at timestamptz not null default now()
);

-- One-time passwords belong to a number, which need not be a user's: an unknown number is treated as a known one.
create table otps (
    mobile text not null,
    purpose text not null constraint otps_purpose check (purpose in ('sign_in', 'reset')),
    code_hash text not null,
    attempts int not null default 0,
    sent_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (mobile, purpose)
);
create index otps_expired on otps (expires_at);

-- A session lives while it is not ended and not over. Access tokens name it, so its end is felt at once.
create table sessions (
    user_id uuid not null references users on delete cascade,
    id uuid not null default gen_random_uuid(),
    refresh_hash text not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at timestamptz,
    ip inet,
    user_agent text,
    primary key (user_id, id)
);
create index sessions_expired on sessions (expires_at);
