-- Jobs of one lane still run one at a time, in the order of their ids, but nothing marks those that have to wait: whoever
-- claims walks the lanes of the users, one step of an index each, however long the queue of a lane is.
drop index jobs_ready;
drop index jobs_leased;
alter table jobs alter state drop default;
alter type job_state rename to parking_job_state;
-- waiting: until run_at
create type job_state as enum ('ready', 'waiting', 'running');
alter table jobs
    alter state type job_state using (case state::text when 'parked' then 'ready' else state::text end)::job_state,
    alter state set default 'ready',
    add started_at timestamptz, -- when it was first claimed
    add payload jsonb;
drop type parking_job_state;

create index jobs_replies on jobs (user_id, lane, id) where state = 'ready' and kind = 'reply';
create index jobs_chores on jobs (id) where state = 'ready' and kind <> 'reply';
create index jobs_waiting on jobs (run_at) where state = 'waiting';
-- One at a time in a lane, whatever happens.
create unique index jobs_one_running on jobs (user_id, lane) where state = 'running';
