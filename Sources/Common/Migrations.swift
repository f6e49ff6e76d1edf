/// The schema, and how a database comes to have it.
public enum Migrations {
    /// The numbered files of Schema, by their names without the number. Each is applied once, in this order, in a transaction of its
    /// own. One that has landed is never edited: a change is a further file. (SwiftPM writes the first digit as _.)
    static let all: [(name: String, sql: [UInt8])] = [
        ("ids", PackageResources._001_ids_sql),
        ("users", PackageResources._002_users_sql),
        ("chat", PackageResources._003_chat_sql),
        ("jobs", PackageResources._004_jobs_sql),
        ("cache", PackageResources._005_cache_sql),
        ("branches", PackageResources._006_branches_sql),
        ("queue", PackageResources._007_queue_sql),
        ("kinds", PackageResources._008_kinds_sql),
        ("streams", PackageResources._009_streams_sql),
        ("upstream", PackageResources._010_upstream_sql),
        ("summaries", PackageResources._011_summaries_sql),
        ("forks", PackageResources._012_forks_sql),
        ("cancels", PackageResources._013_cancels_sql),
        ("attempts", PackageResources._014_attempts_sql),
        ("accounts", PackageResources._015_accounts_sql),
        ("sessions", PackageResources._016_sessions_sql),
        ("codes", PackageResources._017_codes_sql),
        ("otp_kind", PackageResources._018_otp_kind_sql),
        ("otp_jobs", PackageResources._019_otp_jobs_sql),
        ("deletion", PackageResources._020_deletion_sql),
        ("idempotency", PackageResources._021_idempotency_sql),
        ("rooms", PackageResources._022_rooms_sql),
        ("rates", PackageResources._023_rates_sql),
        ("cache_inline", PackageResources._024_cache_inline_sql),
        ("metrics", PackageResources._025_metrics_sql),
        ("search", PackageResources._026_search_sql),
        ("retention", PackageResources._027_retention_sql),
        ("attachments", PackageResources._028_attachments_sql),
        ("quota", PackageResources._029_quota_sql),
        ("stripe_kind", PackageResources._030_stripe_kind_sql),
        ("subscriptions", PackageResources._031_subscriptions_sql),
        ("purging", PackageResources._032_purging_sql),
        ("shares", PackageResources._033_shares_sql),
        ("key_lifetimes", PackageResources._034_key_lifetimes_sql),
        ("restoring", PackageResources._035_restoring_sql),
        ("sending", PackageResources._036_sending_sql),
        ("balances", PackageResources._037_balances_sql),
        ("together", PackageResources._038_together_sql),
        ("sign_ups", PackageResources._039_sign_ups_sql),
        ("number_forms", PackageResources._040_number_forms_sql),
        ("superseded_codes", PackageResources._041_superseded_codes_sql),
        ("unused_tokens", PackageResources._042_unused_tokens_sql),
        ("partials", PackageResources._043_partials_sql),
        ("refusals", PackageResources._044_refusals_sql),
        ("subscription_rules", PackageResources._045_subscription_rules_sql),
        ("lost_customers", PackageResources._046_lost_customers_sql),
        ("login_tries", PackageResources._047_login_tries_sql),
        ("code_origins", PackageResources._048_code_origins_sql),
        ("usage_zones", PackageResources._049_usage_zones_sql),
        ("kept_limits", PackageResources._050_kept_limits_sql),
        ("generations", PackageResources._051_generations_sql),
        ("stream_safe", PackageResources._052_stream_safe_sql),
        ("set_aside", PackageResources._053_set_aside_sql),
        ("continuing", PackageResources._054_continuing_sql),
        ("calls", PackageResources._055_calls_sql),
    ]

    /// The last one, by whose presence a database is known to be up to date.
    public static var newest: String { all.last?.name ?? "" }

    /// The advisory lock of whoever changes the schema. All others have their names in Functions/locks.sql.
    static let lock = 7_401_332

    /// Applies what is missing and returns the names of what was. Several starters at once wait for each other.
    public static func apply(to database: Database) throws -> [String] {
        try database.transaction {
            try database.execute("select pg_advisory_xact_lock(\(lock))")
            try Roles.becomeOwner(in: database)
            try database.execute(
                "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())"
            )
        }
        return try all.filter { migration in
            try database.transaction {
                try database.execute("select pg_advisory_xact_lock(\(lock))")
                try Roles.becomeOwner(in: database)
                let isNew =
                    try database.execute(
                        "insert into migrations (name) values (\(migration.name)) on conflict do nothing") == 1
                if isNew { try database.script(String(decoding: migration.sql, as: UTF8.self)) }
                return isNew
            }
        }.map(\.name)
    }
}
