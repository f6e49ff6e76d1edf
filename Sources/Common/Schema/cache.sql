-- Answers that are worth keeping for a while. Lost in a crash, and nothing is lost with them.
create unlogged table cache (
    key text primary key,
    value text not null,
    expires_at timestamptz not null
);
create index cache_expired on cache (expires_at);
