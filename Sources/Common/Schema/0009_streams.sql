-- The text of replies that are being written, as it came: what a reader of one has not had yet is found by where it starts, in
-- bytes of UTF-8. Gone when the reply is finished. Lost in a crash of Postgres: the finished reply has it all.
create unlogged table deltas (
    user_id uuid not null,
    message_id uuid not null,
    attempt int not null,
    start int not null,
    text text not null,
    primary key (user_id, message_id, attempt, start)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
