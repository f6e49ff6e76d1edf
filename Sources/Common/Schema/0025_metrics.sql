-- How many replies ended, for GET /metrics: of each worker while its row is kept, and of all whose row is gone. Each writes its
-- own row alone, with its sign of life: no row is shared by all on the way of a message.
alter table workers add replies_done bigint not null default 0, add replies_failed bigint not null default 0;
create table past_workers (
    is_only boolean primary key default true constraint past_workers_is_only check (is_only),
    replies_done bigint not null default 0,
    replies_failed bigint not null default 0
);
insert into past_workers default values;
