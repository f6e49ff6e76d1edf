/// The roles that processes log in as: one an endpoint, `chat-NAME`, one of the worker and one of the operator.
public enum Roles {
    /// Has the rest of a transaction done by the owner of the schema, where whoever migrates is another role that may become it: what is made
    /// is the owner's, who need not log in.
    static func becomeOwner(in database: Database) throws {
        try database.execute(
            """
            select set_config('role', r.rolname, true) from pg_roles r
            where r.rolname <> current_user and pg_has_role(r.oid, 'member') and r.oid = coalesce(
                (select c.relowner from pg_class c where c.oid = to_regclass('public.migrations')),
                (select d.datdba from pg_database d where d.datname = current_database()))
            """)
    }

    /// Makes the roles and their rights what they should be, as far as whoever migrates may.
    static func apply(to database: Database) throws {
        try database.execute("select set_config('role', 'none', true)")
        try database.script(String(decoding: PackageResources.roles_sql, as: UTF8.self))
    }

    /// Whether each endpoint that calls Postgres has a role; if not, all run under one.
    public static func areThere(in database: Database) throws -> Bool {
        try database.row(
            Bool.self,
            """
            select not exists (
                select from functions f where f.file not like 'shared/%'
                    and not exists (select from pg_roles r where r.rolname = 'chat-' || f.file))
            """) ?? false
    }
}
