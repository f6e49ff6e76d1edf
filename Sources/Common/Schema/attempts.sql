-- Which attempt wrote a reply, the last that was claimed: its job is gone when it is finished, and a reader who had some of the
-- text comes back and has to know whether the rest continues it. 0: none, or one from before this.
alter table messages add attempt int not null default 0;
