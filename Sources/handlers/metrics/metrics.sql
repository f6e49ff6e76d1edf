-- What Prometheus is told, in its text format. It is stable, so that all of it is of one instant. otp_per_day is the setting
-- OTP_PER_DAY; 0 is no limit.
--
-- Bitmap scans are off: a bitmap is made of all that an index holds, however few rows are wanted.
create function api.metrics(otp_per_day int, out verdict text, out body text)
language plpgsql stable security definer set search_path = public, pg_temp set enable_bitmapscan = off as $$
declare
    share float8;
begin
    body := job_metrics();

    body := body || metric(
        'replies_total', 'counter', 'Replies that ended, as their workers count them every few seconds.', array(
            select sample(o.past + coalesce(o.present, 0), 'outcome', o.outcome)
            from past_workers p cross join (
                select sum(replies_done) as done, sum(replies_failed) as failed from workers
            ) w cross join lateral (
                values ('done', p.replies_done, w.done), ('failed', p.replies_failed, w.failed)
            ) o (outcome, past, present)
            where p.is_only));
    body := body || metric('workers', 'gauge', 'Workers that were seen within the last two minutes.', array(
        select sample(count(*)) from workers where seen_at > now() - interval '2 minutes'));
    body := body || metric('worker_seen_seconds', 'gauge', 'Since a worker was last seen.', array(
        select sample(greatest(0, extract(epoch from now() - max(seen_at)))) from workers));
    body := body || metric('model_reply_seconds', 'gauge', 'How long replies of a model took lately.', array(
        select sample(t.milliseconds / 1000, 'model', t.model) from model_times t order by t.model));
    body := body || metric('gemini_keys_held', 'gauge', 'Keys of Gemini that it holds back for a model.', array(
        select sample(count(*), 'model', h.model, 'reason', h.reason) from upstream_holds h where h.until > now()
        group by h.model, h.reason order by h.model, h.reason));

    body := body || metric(
        'otp_sent_today', 'gauge', 'One-time passwords sent today (UTC); counted only where OTP_PER_DAY limits them.', array(
            select sample(coalesce((select d.sent from otp_days d where d.day = (now() at time zone 'UTC')::date), 0))
            where otp_per_day > 0));
    body := body || metric(
        'otp_budget', 'gauge', 'One-time passwords that may be sent in a day: OTP_PER_DAY, where it is set.',
        array[sample(nullif(otp_per_day, 0))]);

    share := looked_at('users');
    body := body || metric('users', 'gauge', 'Accounts by tier; of many, estimated from a part.', array(
        select sample(round(coalesce(c.count, 0) * 100 / share), 'tier', t.tier)
        from unnest('{basic,pro}'::text[]) t (tier) left join (
            select tier(u) as tier, count(*) as count from users u tablesample system (share) repeatable (0) group by 1
        ) c using (tier)
        order by t.tier));
    share := looked_at('sessions');
    body := body || metric('sessions_live', 'gauge', 'Sessions that have not ended; of many, estimated from a part.', array(
        select sample(round(count(*) * 100 / share))
        from sessions s tablesample system (share) repeatable (0) where lives(s)));

    body := body || metric('table_rows', 'gauge', 'Rows of a table, as Postgres estimates them.', array(
        select sample(greatest(c.reltuples, 0), 'table', c.relname::text) from pg_class c
        where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' order by c.relname));
    body := body || metric('table_bytes', 'gauge', 'Bytes on disk of a table, its indexes and its long values.', array(
        select sample(pg_total_relation_size(c.oid), 'table', c.relname::text) from pg_class c
        where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' order by c.relname));
    body := body || metric('database_bytes', 'gauge', 'Bytes on disk of the database.',
        array[sample(pg_database_size(current_database()))]);
    body := body || metric('database_connections', 'gauge', 'Connections to the database.', array(
        select sample(d.numbackends) from pg_stat_database d where d.datname = current_database()));
end
$$;
