-- How often a reply was begun. Its job is gone when it is finished, and a reader who had some of the text comes back and has to
-- know whether the rest continues it. Unlike jobs.attempts it never goes back: no two texts have the same number.
alter table messages add attempt int not null default 0;
