import Common

/// How many jobs of a kind and state are counted at most.
let most: SQL = "10000"

/// Which part of a table is looked at, in percent of its pages: all of a small one, of a large one a thousand pages.
func share(of table: SQL) -> SQL {
    "least(100, 100.0 * 1000 * current_setting('block_size')::int / greatest(pg_relation_size('\(table)'), 1))"
}

/// The jobs of each state, in the order of the index that is there for them: without it more than are counted would be read.
let jobs: SQL = """
    select j.* from open_job_generations g cross join lateral (
        select * from (
            select kind, state, run_at from jobs where generation = g.number and state = 'ready' and kind = 'reply'
            order by user_id, lane, id limit \(most)
        ) j
        union all
        select j.* from unnest(enum_range(null::job_kind)) k (kind) cross join lateral (
            select kind, state, run_at from jobs
            where generation = g.number and state = 'ready' and kind <> 'reply' and kind = k.kind order by run_at limit \(most)
        ) j
        union all
        select * from (
            select kind, state, run_at from jobs where generation = g.number and state = 'waiting'
            order by run_at limit \(most)
        ) j
        union all
        select * from (
            select kind, state, run_at from jobs
            where state <> 'ready' and (generation, state) >= (g.number, 'running')
                and (generation, state) <= (g.number, 'running')
            order by generation, state, user_id, lane limit \(most)
        ) j
    ) j
    """

let metrics = [
    Metric(
        "jobs", "Jobs by kind and state, of which 10000 are counted at most.", labels: ["kind", "state"],
        sql: """
            select kind, state, coalesce(j.count, 0)
            from unnest(enum_range(null::job_kind)) k (kind) cross join unnest(enum_range(null::job_state)) s (state)
            left join (
                select kind, state, count(*) as count from (\(jobs)) j group by kind, state
            ) j using (kind, state)
            order by kind, state
            """),
    Metric(
        "oldest_ready_job_seconds", "For how long the oldest job that may begin has been waiting.", labels: ["kind"],
        sql: """
            select kind, greatest(0, extract(epoch from now() - min(j.run_at)))
            from (\(jobs)) j where state = 'ready' group by kind order by kind
            """),
    Metric(
        "replies_total", "Replies that ended, as their workers count them every few seconds.", .counter,
        labels: ["outcome"],
        sql: """
            select o.outcome, o.past + coalesce(o.present, 0)
            from past_workers p cross join (
                select sum(replies_done) as done, sum(replies_failed) as failed from workers
            ) w cross join lateral (
                values ('done', p.replies_done, w.done), ('failed', p.replies_failed, w.failed)
            ) o (outcome, past, present)
            where p.is_only
            """),
    Metric(
        "workers", "Workers that were seen within the last two minutes.",
        sql: "select count(*) from workers where seen_at > now() - interval '2 minutes'"),
    Metric(
        "worker_seen_seconds", "Since a worker was last seen.",
        sql: "select greatest(0, extract(epoch from now() - max(seen_at))) from workers"),
    Metric(
        "model_reply_seconds", "How long replies of a model took lately.", labels: ["model"],
        sql: "select model, milliseconds / 1000 from model_times order by model"),
    Metric(
        "gemini_keys_held", "Keys of Gemini that it holds back for a model.", labels: ["model", "reason"],
        sql: """
            select model, reason, count(*) from upstream_holds where until > now() group by model, reason
            order by model, reason
            """),
    Metric(
        "otp_sent_today", "One-time passwords sent today (UTC); counted only where OTP_PER_DAY limits them.",
        sql: """
            select coalesce((select sent from otp_days where day = (now() at time zone 'UTC')::date), 0)
            where \(Settings.otpPerDay)::int > 0
            """),
    Metric(
        "otp_budget", "One-time passwords that may be sent in a day: OTP_PER_DAY, where it is set.",
        sql: "select nullif(\(Settings.otpPerDay)::int, 0)"),
    Metric(
        "users", "Accounts by tier; of many, estimated from a part.", labels: ["tier"],
        sql: """
            select tier, round(coalesce(count, 0) * 100 / \(share(of: "users"))) from unnest('{basic,pro}'::text[]) t (tier)
            left join (
                select \(User.tier) as tier, count(*) as count
                from users u tablesample system (\(share(of: "users"))) repeatable (0) group by 1
            ) u using (tier)
            order by tier
            """),
    Metric(
        "sessions_live", "Sessions that have not ended; of many, estimated from a part.",
        sql: """
            select round(count(*) * 100 / \(share(of: "sessions")))
            from sessions tablesample system (\(share(of: "sessions"))) repeatable (0)
            where ended_at is null and expires_at > now()
            """),
    Metric(
        "table_rows", "Rows of a table, as Postgres estimates them.", labels: ["table"],
        sql: """
            select relname, greatest(reltuples, 0) from pg_class
            where relnamespace = current_schema()::regnamespace and relkind = 'r' order by relname
            """),
    Metric(
        "table_bytes", "Bytes on disk of a table, its indexes and its long values.", labels: ["table"],
        sql: """
            select relname, pg_total_relation_size(oid) from pg_class
            where relnamespace = current_schema()::regnamespace and relkind = 'r' order by relname
            """),
    Metric("database_bytes", "Bytes on disk of the database.", sql: "select pg_database_size(current_database())"),
    Metric(
        "database_connections", "Connections to the database.",
        sql: "select numbackends from pg_stat_database where datname = current_database()"),
]

/// Whether the caller is on this host, and not behind a proxy that is: a proxy says for whom it asks.
func isLocal(_ request: Request) -> Bool {
    let address = request.address ?? ""
    let isLoopback = address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
    return isLoopback && ["X_FORWARDED_FOR", "X_REAL_IP", "FORWARDED", "VIA"].allSatisfy { request.header($0) == nil }
}

serve { request, database in
    guard isLocal(request) else { throw Problem.notFound }
    let samples = try database.transaction {
        // A bitmap is made of all that an index holds, however few rows are wanted.
        try database.execute("set local enable_bitmapscan = off")
        return try database.rows(Metric.Sample.self, Metric.samples(of: metrics))
    }
    let text = metrics.enumerated().map { number, metric in metric.text(samples.filter { $0.family == number }) }
    return Response(
        status: 200, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
        body: Array(text.joined().utf8))
}
