-- The hashes of codes that were sent before the current one and could still be entered then, the newest first: whoever enters one that
-- arrived late is told so.
alter table otps add superseded text[] not null default '{}';
