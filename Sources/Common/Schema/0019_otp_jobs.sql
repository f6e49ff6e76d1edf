-- Codes are looked for by themselves: they do not wait behind chores.
create index jobs_otps on jobs (id) where state = 'ready' and kind = 'otp';
drop index jobs_chores;
create index jobs_chores on jobs (id) where state = 'ready' and kind in ('title', 'summary');
