-- How often in a row what is held back was refused: it is left alone for longer each time, by all workers.
alter table upstream_holds add refusals int not null default 1;
