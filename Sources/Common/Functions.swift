/// The functions of the schema, and how a database comes to have them. Each has one file, which is applied again when its text changes.
public enum Functions {
    /// A file by its name, which is `shared/NAME` or that of its endpoint.
    public typealias File = (name: String, sql: [UInt8])

    /// Those that several endpoints use.
    private static let shared: [File] = [
        ("shared/accounts", PackageResources.accounts_sql),
        ("shared/attachments", PackageResources.attachments_sql),
        ("shared/billing", PackageResources.billing_sql),
        ("shared/chat", PackageResources.chat_sql),
        ("shared/codes", PackageResources.codes_sql),
        ("shared/deletion", PackageResources.deletion_sql),
        ("shared/export", PackageResources.export_sql),
        ("shared/ids", PackageResources.ids_sql),
        ("shared/jobs", PackageResources.jobs_sql),
        ("shared/locks", PackageResources.locks_sql),
        ("shared/logins", PackageResources.logins_sql),
        ("shared/messages", PackageResources.messages_sql),
        ("shared/operation", PackageResources.operation_sql),
        ("shared/plans", PackageResources.plans_sql),
        ("shared/queue", PackageResources.queue_sql),
        ("shared/replies", PackageResources.replies_sql),
        ("shared/requests", PackageResources.requests_sql),
        ("shared/rooms", PackageResources.rooms_sql),
        ("shared/search", PackageResources.search_sql),
        ("shared/sessions", PackageResources.sessions_sql),
        ("shared/shares", PackageResources.shares_sql),
        ("shared/turns", PackageResources.turns_sql),
        ("shared/usage", PackageResources.usage_sql),
        ("shared/users", PackageResources.users_sql),
    ]

    /// Applies what is new of the shared files and of those of `endpoints`, and drops the functions whose file is gone; the names of
    /// the files. Then it makes the roles right (`Roles`). Several starters at once wait for each other.
    ///
    /// An endpoint's functions are made anew, whatever their parameters were: nothing depends on them. A shared one is replaced.
    public static func apply(_ endpoints: [File], to database: Database) throws -> [String] {
        try database.transaction {
            try database.execute("select pg_advisory_xact_lock(\(Migrations.lock))")
            try Roles.becomeOwner(in: database)
            // Functions name each other, in any order.
            try database.execute("select set_config('check_function_bodies', 'off', true)")
            let files = shared + endpoints
            let applied = try database.rows(
                Applied.self,
                """
                select file, hash, not exists (select from unnest(makes) m where to_regprocedure(m) is null) as is_whole
                from functions
                """)
            for gone in applied where !files.contains(where: { $0.name == gone.file }) {
                try drop(gone.file, from: database)
                try database.execute("delete from functions where file = \(gone.file)")
            }
            let new = try files.filter { file in
                let hash = Sodium.sha256(file.sql).hex
                if applied.contains(where: { $0.file == file.name && $0.hash == hash && $0.isWhole }) { return false }
                try drop(file.name, from: database)
                let others = try made(in: database)
                try database.script(String(decoding: file.sql, as: UTF8.self))
                let own = try made(in: database).filter { !others.contains($0) }
                try database.execute(
                    """
                    insert into functions (file, hash, makes) values (\(file.name), \(hash), \(own))
                    on conflict (file) do update set hash = excluded.hash, makes = excluded.makes, applied_at = now()
                    """)
                return true
            }
            try Roles.apply(to: database)
            return new.map(\.name)
        }
    }

    private struct Applied: Decodable {
        let file: String
        let hash: String
        /// Whether all that it made is still there.
        let isWhole: Bool

        enum CodingKeys: String, CodingKey {
            case file, hash
            case isWhole = "is_whole"
        }
    }

    /// The functions of all endpoints, each with the types of its parameters.
    private static func made(in database: Database) throws -> [String] {
        try database.rows(
            String.self,
            "select oid::regprocedure::text from pg_proc where pronamespace = 'api'::regnamespace order by 1")
    }

    private static func drop(_ file: String, from database: Database) throws {
        let functions = try database.rows(
            String.self, "select unnest(makes) from functions where file = \(file)")
        for function in functions { try database.script("drop function if exists \(function)") }
    }
}
