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

    /// What an operator should know of who may do what, a line each.
    public static func remarks(in database: Database) throws -> [String] {
        var remarks: [String] = []
        let without = try database.row(
            Int.self,
            """
            select count(*) from functions f where f.file not like 'shared/%' and not exists (
                select from pg_roles r where r.rolname = 'chat-' || f.file
                    and has_function_privilege(r.oid, to_regprocedure(f.makes[1]), 'execute'))
            """)
        if let without, without > 0 {
            remarks.append(
                """
                \(without) endpoints have no role of their own and need the owner's, which can read all tables: this role may not make roles \
                (CREATEROLE), or PUBLIC may make objects here (revoke create on schema public, temporary on database), or a \
                chat-… role has attributes or belongs to another
                """)
        }
        let isSuperuser = try database.row(
            Bool.self,
            """
            select r.rolsuper from pg_class c join pg_roles r on r.oid = c.relowner
            where c.oid = to_regclass('public.migrations')
            """)
        if isSuperuser == true {
            remarks.append("a superuser owns the tables, and the functions of endpoints run as that role")
        }
        return remarks
    }
}
