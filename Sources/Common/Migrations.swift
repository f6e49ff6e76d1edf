/// The schema, and how a database comes to have it.
public enum Migrations {
    /// Each is applied once, in this order, in a transaction of its own. One that has landed is never edited: a change
    /// is a further file.
    static let all: [(name: String, sql: [UInt8])] = [
        ("ids", PackageResources.ids_sql),
        ("users", PackageResources.users_sql),
        ("chat", PackageResources.chat_sql),
        ("jobs", PackageResources.jobs_sql),
        ("cache", PackageResources.cache_sql),
        ("branches", PackageResources.branches_sql),
        ("queue", PackageResources.queue_sql),
        ("kinds", PackageResources.kinds_sql),
        ("streams", PackageResources.streams_sql),
        ("upstream", PackageResources.upstream_sql),
        ("summaries", PackageResources.summaries_sql),
        ("forks", PackageResources.forks_sql),
        ("cancels", PackageResources.cancels_sql),
        ("attempts", PackageResources.attempts_sql),
        ("accounts", PackageResources.accounts_sql),
        ("sessions", PackageResources.sessions_sql),
        ("codes", PackageResources.codes_sql),
        ("otp_kind", PackageResources.otp_kind_sql),
        ("otp_jobs", PackageResources.otp_jobs_sql),
        ("deletion", PackageResources.deletion_sql),
        ("idempotency", PackageResources.idempotency_sql),
        ("rooms", PackageResources.rooms_sql),
        ("rates", PackageResources.rates_sql),
        ("cache_inline", PackageResources.cache_inline_sql),
        ("metrics", PackageResources.metrics_sql),
        ("search", PackageResources.search_sql),
        ("retention", PackageResources.retention_sql),
        ("attachments", PackageResources.attachments_sql),
        ("quota", PackageResources.quota_sql),
        ("stripe_kind", PackageResources.stripe_kind_sql),
        ("subscriptions", PackageResources.subscriptions_sql),
        ("purging", PackageResources.purging_sql),
        ("shares", PackageResources.shares_sql),
        ("key_lifetimes", PackageResources.key_lifetimes_sql),
        ("restoring", PackageResources.restoring_sql),
        ("sending", PackageResources.sending_sql),
        ("balances", PackageResources.balances_sql),
        ("together", PackageResources.together_sql),
        ("sign_ups", PackageResources.sign_ups_sql),
        ("number_forms", PackageResources.number_forms_sql),
        ("superseded_codes", PackageResources.superseded_codes_sql),
        ("unused_tokens", PackageResources.unused_tokens_sql),
        ("partials", PackageResources.partials_sql),
        ("refusals", PackageResources.refusals_sql),
        ("subscription_rules", PackageResources.subscription_rules_sql),
        ("lost_customers", PackageResources.lost_customers_sql),
        ("login_tries", PackageResources.login_tries_sql),
        ("code_origins", PackageResources.code_origins_sql),
        ("usage_zones", PackageResources.usage_zones_sql),
        ("kept_limits", PackageResources.kept_limits_sql),
        ("generations", PackageResources.generations_sql),
        ("stream_safe", PackageResources.stream_safe_sql),
        ("set_aside", PackageResources.set_aside_sql),
        ("continuing", PackageResources.continuing_sql),
    ]

    /// The last one, by whose presence a database is known to be up to date.
    public static var newest: String { all.last?.name ?? "" }

    /// Applies what is missing and returns the names of what was. Several starters at once wait for each other.
    public static func apply(to database: Database) throws -> [String] {
        let lock = 7_401_332
        try database.transaction {
            try database.execute("select pg_advisory_xact_lock(\(lock))")
            try database.execute(
                "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())"
            )
        }
        return try all.filter { migration in
            try database.transaction {
                try database.execute("select pg_advisory_xact_lock(\(lock))")
                let isNew =
                    try database.execute(
                        "insert into migrations (name) values (\(migration.name)) on conflict do nothing") == 1
                if isNew { try database.script(String(decoding: migration.sql, as: UTF8.self)) }
                return isNew
            }
        }.map(\.name)
    }
}
