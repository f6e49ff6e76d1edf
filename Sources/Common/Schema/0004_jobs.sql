-- What is to be done. A job's row is deleted when it is done, in the transaction that stores what came of it.
--
-- Jobs of one lane run one at a time, in the order of their ids: a reply's lane is its chatroom. Senders only insert. The
-- worker that finds an earlier job in the lane sets a job to 'parked', out of the index that it searches, and whoever
-- finishes a job sets the next of its lane to 'ready', so that claiming does not grow slower with the queue.
create type job_kind as enum ('reply');
create type job_state as enum ('ready', 'parked', 'running');

create table jobs (
    user_id uuid not null,
    lane uuid not null,
    id uuid not null,
    kind job_kind not null,
    state job_state not null default 'ready',
    run_at timestamptz not null default now(),
    attempts int not null default 0,
    worker uuid,
    leased_until timestamptz,
    primary key (user_id, lane, id)
) with (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0
);
create index jobs_ready on jobs (run_at, id) where state = 'ready';
create index jobs_leased on jobs (leased_until) where state = 'running';

-- The workers that were seen lately, for GET /ready.
create table workers (
    id uuid primary key,
    host text not null,
    pid int not null,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);
