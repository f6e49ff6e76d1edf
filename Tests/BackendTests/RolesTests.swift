import Common
import Foundation
import TestSupport
import Testing

/// What each role may do, read from the catalogue, so that whatever is added to the database is looked at too.
@Suite(.threads)
struct RolesTests {
    let test: TestDatabase
    let database: Database

    init() throws {
        test = try Postgres.shared().createDatabase()
        database = test.connect()
    }

    /// What may be asked of each kind of object, with whom it is asked for: a role's name, or `public`.
    private static let rights: SQL = """
        select r.role, o.kind, o.name, p.privilege from (
            select rolname::text as role from pg_roles where rolname like 'chat-%' union all select 'public'
        ) r cross join (
            select 'database' as kind, datname::text as name, oid, '{connect,create,temporary}'::text[] as privileges
            from pg_database where datname = current_database()
            union all select 'schema', nspname, oid, '{usage,create}' from pg_namespace where nspname !~ '^pg_(toast|temp)'
            union all select 'table', oid::regclass::text, oid, '{select,insert,update,delete,truncate,references,trigger}'
            from pg_class where relkind in ('r', 'p', 'v', 'm', 'f') and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
            union all select 'sequence', oid::regclass::text, oid, '{usage,select,update}' from pg_class where relkind = 'S'
            union all select 'function', oid::regprocedure::text, oid, '{execute}'
            from pg_proc where pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
            union all select 'type', format_type(oid, null), oid, '{usage}'
            from pg_type where typcategory <> 'A' and typnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'pg_toast')
            union all select 'language', lanname, oid, '{usage}' from pg_language
            union all select 'tablespace', spcname, oid, '{create}' from pg_tablespace
            union all select 'wrapper', fdwname, oid, '{usage}' from pg_foreign_data_wrapper
            union all select 'server', srvname, oid, '{usage}' from pg_foreign_server
        ) o cross join lateral unnest(o.privileges) p (privilege)
        where case o.kind
            when 'database' then has_database_privilege(r.role, o.oid, p.privilege)
            when 'schema' then has_schema_privilege(r.role, o.oid, p.privilege)
            when 'table' then has_table_privilege(r.role, o.oid, p.privilege)
                or p.privilege in ('select', 'insert', 'update', 'references') and has_any_column_privilege(r.role, o.oid, p.privilege)
            when 'sequence' then has_sequence_privilege(r.role, o.oid, p.privilege)
            when 'function' then has_function_privilege(r.role, o.oid, p.privilege)
            when 'type' then has_type_privilege(r.role, o.oid, p.privilege)
            when 'language' then has_language_privilege(r.role, o.oid, p.privilege)
            when 'tablespace' then has_tablespace_privilege(r.role, o.oid, p.privilege)
            when 'wrapper' then has_foreign_data_wrapper_privilege(r.role, o.oid, p.privilege)
            when 'server' then has_server_privilege(r.role, o.oid, p.privilege)
        end
        """

    private struct Right: Decodable, Hashable {
        let role: String
        let kind: String
        let name: String
        let privilege: String
    }

    /// What is allowed: nothing else is.
    private func isAllowed(_ right: Right) -> Bool {
        let endpoint = right.role.dropFirst("chat-".count)
        let isOfPeople = ["chat-worker", "chat-operator"].contains(right.role)
        switch (right.kind, right.privilege) {
        case ("database", "connect"): return right.role != "public"
        // Nothing in them is anybody's, but what Postgres lets everybody see and call.
        case ("schema", "usage") where ["pg_catalog", "information_schema"].contains(right.name): return true
        case ("schema", "usage"): return right.role != "public" && right.name == (isOfPeople ? "public" : "api")
        // Postgres' own; who may make no function has no use for it.
        case ("language", "usage"): return ["internal", "c", "sql"].contains(right.name)
        case ("function", "execute"):
            guard right.role != "public" else { return false }
            if isOfPeople { return !right.name.hasPrefix("api.") }
            let name = endpoint.replacing("-", with: "_")
            return right.name.hasPrefix("api.\(name)(")
                || right.name.hasPrefix("api.\(name)_") && !isAnothers(right.name, than: String(endpoint))
        case ("table", "select"): return isOfPeople
        case ("table", "insert"), ("table", "update"), ("table", "delete"):
            return isOfPeople && !["migrations", "functions"].contains(right.name)
        case ("sequence", _): return isOfPeople
        default: return false
        }
    }

    /// Whether a function is of an endpoint with a longer name: `refresh_subscription` is not one of `refresh`.
    private func isAnothers(_ function: String, than endpoint: String) -> Bool {
        RolesTests.endpoints.contains { other in
            other.count > endpoint.count && other.hasPrefix(endpoint)
                && function.hasPrefix("api.\(other.replacing("-", with: "_"))")
        }
    }

    private static let tables: SQL = """
        select oid::regclass::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
        """

    /// Those that call Postgres: they have a file of functions.
    private static let endpoints: [String] =
        (try? FileManager.default.contentsOfDirectory(atPath: "\(projectFolder)/Sources/handlers").filter {
            FileManager.default.fileExists(atPath: "\(projectFolder)/Sources/handlers/\($0)/\($0).sql")
        }) ?? []

    @Test
    func `Each role may do what is listed, and nothing else`() throws {
        let roles = try database.rows(String.self, "select rolname from pg_roles where rolname like 'chat-%'")
        #expect(Set(roles) == Set(RolesTests.endpoints.map { "chat-\($0)" } + ["chat-worker", "chat-operator"]))
        #expect(RolesTests.endpoints.count > 50)
        let rights = try database.rows(Right.self, RolesTests.rights)
        for right in rights where !isAllowed(right) {
            Issue.record("\(right.role) may \(right.privilege) the \(right.kind) \(right.name)")
        }
        // What they need they have.
        let tables = try database.rows(String.self, RolesTests.tables)
        for table in tables {
            guard !["migrations", "functions"].contains(table) else { continue }
            for privilege in ["select", "insert", "update", "delete"] {
                #expect(rights.contains(Right(role: "chat-worker", kind: "table", name: table, privilege: privilege)))
            }
        }
        for endpoint in RolesTests.endpoints {
            let name = "api.\(endpoint.replacing("-", with: "_"))("
            #expect(rights.contains { $0.role == "chat-\(endpoint)" && $0.name.hasPrefix(name) })
        }
        let functions = rights.filter { $0.kind == "function" && $0.name.hasPrefix("api.") }.map(\.name)
        #expect(Set(functions).count == functions.count, "no function is of two endpoints")
    }

    @Test
    func `The matrix sees what is added, and the next migration takes back what was given`() throws {
        try database.script(
            """
            set role app;
            create table additional (secret text);
            create function additional_function() returns int language sql as 'select 1';
            create function api.additional() returns int language sql as 'select 1';
            create sequence additional_numbers;
            create type additional_kind as enum ('a');
            create schema additional_schema;
            reset role;
            """)
        let before = try database.rows(Right.self, RolesTests.rights).filter { $0.name.contains("additional") }
        // Of a table's row type Postgres knows no default; who may make nothing has no use for it.
        #expect(before.allSatisfy { $0.kind == "type" }, "nobody may use what is new: \(before)")
        let given = [
            "select on additional to \"chat-get-me\"", "update (secret) on additional to public",
            "execute on function additional_function() to \"chat-signup\"",
            "execute on function api.additional() to public", "select (mobile) on users to \"chat-get-me\"",
            "usage on sequence additional_numbers to \"chat-login\"",
            "usage on schema additional_schema to \"chat-ready\"",
            "create on schema public to \"chat-get-shared\"", "temporary on database \(test.name) to public",
            "usage on language plpgsql to public", "execute on function lo_create(oid) to public",
        ]
        for grant in given { try database.script("grant \(grant)") }
        let found = try database.rows(Right.self, RolesTests.rights).filter { !isAllowed($0) }
        let names = [
            "additional", "additional_function()", "api.additional()", "additional_numbers", "additional_schema",
            "public", "plpgsql",
        ]
        for name in names {
            #expect(found.contains { $0.name == name }, "\(name)")
        }
        // Of a schema that is not the program's nothing is taken back.
        try database.script("drop schema additional_schema")
        try migrate()
        let after = try database.rows(Right.self, RolesTests.rights)
        for right in after where !isAllowed(right) && !right.name.contains("additional") {
            Issue.record("\(right.role) may still \(right.privilege) the \(right.kind) \(right.name)")
        }
        let left = after.filter {
            $0.name.contains("additional") && !["chat-worker", "chat-operator"].contains($0.role)
        }
        #expect(left.isEmpty, "\(left)")
        let isOpen = try database.row(
            Bool.self, "select has_function_privilege('public', 'lo_create(oid)', 'execute')")
        #expect(isOpen == false)
    }

    @Test
    func `No role has an attribute, belongs to another, owns anything, or may more of Postgres than a stranger`() throws
    {
        let special = try database.rows(
            String.self,
            """
            select rolname from pg_roles where rolname like 'chat-%' and (rolsuper or rolcreaterole or rolcreatedb or rolreplication
                or rolbypassrls or exists (select from pg_auth_members where member = pg_roles.oid)
                or exists (select from pg_shdepend where refobjid = pg_roles.oid and deptype = 'o'))
            """)
        #expect(special.isEmpty)
        #expect(try database.row(Bool.self, "select rolcanlogin from pg_roles where rolname = 'app'") == false)
        #expect(
            try database.row(
                Int.self,
                """
                select count(*) from pg_class c where relnamespace in ('public'::regnamespace, 'api'::regnamespace)
                    and relkind <> 'c' and relowner <> 'app'::regrole
                """) == 0)
        #expect(
            try database.row(
                Int.self,
                """
                select count(*) from pg_proc where pronamespace in ('public'::regnamespace, 'api'::regnamespace)
                    and proowner <> 'app'::regrole
                """) == 0)
        let more = try database.rows(
            String.self,
            """
            select r.rolname || ' ' || o.name from pg_roles r cross join (
                select 'function' as kind, oid, oid::regprocedure::text as name from pg_proc where pronamespace = 'pg_catalog'::regnamespace
                union all
                select 'table', oid, oid::regclass::text from pg_class
                where relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) and relkind in ('r', 'v')
            ) o
            where r.rolname like 'chat-%' and r.rolname not in ('chat-worker', 'chat-operator') and case o.kind
                when 'function' then has_function_privilege(r.oid, o.oid, 'execute') <> has_function_privilege('public', o.oid, 'execute')
                else has_table_privilege(r.oid, o.oid, 'select') <> has_table_privilege('public', o.oid, 'select')
                    or has_table_privilege(r.oid, o.oid, 'insert,update,delete')
                        <> has_table_privilege('public', o.oid, 'insert,update,delete') end
            """)
        #expect(more.isEmpty, "\(more.prefix(10))")
        // What everybody has of Postgres does not let them keep anything or hold up others.
        let risky = try database.rows(
            String.self,
            """
            select oid::regprocedure::text from pg_proc where pronamespace = 'pg_catalog'::regnamespace
                and proname ~ '^(lo_|lowrite$|pg_(try_)?advisory_|pg_read_|pg_ls_|pg_stat_reset|pg_(reload|rotate|promote|switch))'
                and has_function_privilege('public', oid, 'execute') and proname !~ '_old$' -- they look for themselves
            """)
        #expect(risky.isEmpty, "\(risky)")
    }

    @Test
    func `What the catalogue says holds: a connection of each endpoint's reads no table and makes nothing`() throws {
        let tables = try database.rows(String.self, RolesTests.tables)
        let functions = try database.rows(
            String.self, "select proname from pg_proc where pronamespace = 'api'::regnamespace and pronargs = 0")
        #expect(tables.count > 30)
        for endpoint in RolesTests.endpoints {
            let role = Database(
                test.url(as: "chat-\(endpoint)"), prepares: true, timeout: 30_000, connectTimeout: 30_000)
            #expect(try role.row(String.self, "select current_user::text") == "chat-\(endpoint)")
            let commands =
                tables.map { "select from public.\($0)" } + tables.map { "delete from public.\($0)" } + [
                    "create table public.mine (a int)", "create temporary table mine (a int)", "create schema mine",
                    "create function public.mine() returns int language sql as 'select 1'", "set role app",
                    "set role \"chat-worker\"", "set session authorization app", "do 'begin end'",
                    "select lo_create(0)",
                    "select pg_advisory_lock(1)", "select public.tier(null)",
                    "copy (select 1) to program 'true'", "alter role current_user superuser", "create role mine",
                    "alter system set work_mem = 1", "select pg_read_file('/etc/passwd')",
                ]
            for command in commands {
                do {
                    try role.script(command)
                    Issue.record("\(endpoint) could \(command)")
                } catch DatabaseError.refused(let state, _, _) {
                    #expect(state == "42501", "\(endpoint): \(command): \(state)")
                }
            }
            for function in functions where !function.hasPrefix(endpoint.replacing("-", with: "_")) {
                #expect(throws: DatabaseError.self) { try role.script("select api.\(function)()") }
            }
        }
    }

    @Test
    func `Without the right to make roles all run under the owner, and roles that are there get their rights`() throws {
        let empty = try Postgres.shared().createDatabase(isEmpty: true)
        let name = "only_\(empty.name)"
        try empty.postgres.admin {
            try $0.script("create role \(name) login")
            try $0.script("alter database \(empty.name) owner to \(name)")
        }
        let folder = try Folder()
        let worker = try Executable(
            "cron-worker", ["--migrate"], environment: ["DATABASE_URL": empty.url(as: name)], folder: folder.path)
        #expect(try worker.wait() == .code(0), "\(worker.error)")
        let owners = try empty.connect().rows(
            String.self,
            "select distinct proowner::regrole::text from pg_proc where pronamespace = 'api'::regnamespace")
        #expect(owners == [name])
        // The roles are of the server: others made them.
        let rights = try empty.connect().rows(Right.self, RolesTests.rights)
        #expect(rights.contains { $0.role == "chat-get-me" && $0.name.hasPrefix("api.get_me(") })
        for right in rights where !isAllowed(right) && right.kind != "language" {
            Issue.record("\(right.role) may \(right.privilege) the \(right.kind) \(right.name)")
        }
        // All of it works under the one role, too.
        let backend = try Backend(["DATABASE_URL": empty.url(as: name)], database: empty)
        let person = try backend.signIn()
        let room = try backend.room(person)
        let worked = try backend.worker()
        #expect(try backend.reply(backend.post("Hello", room, person), room, person)["status"].text == "done")
        worked.terminate()
        try worked.wait()
        try empty.postgres.admin { try $0.script("alter database \(empty.name) owner to postgres") }
        try empty.connect().script(
            "reassign owned by \(name) to postgres; drop owned by \(name); drop role \(name)")
    }

    @Test
    func `Where everybody may make objects, endpoints' roles get no rights, and the migrator is told`() throws {
        // Of its own: roles are of the server.
        let postgres = try Postgres()
        let empty = try postgres.createDatabase(isEmpty: true)
        let folder = try Folder()
        func migrate() throws -> String {
            let worker = try Executable(
                "cron-worker", ["--migrate"], environment: ["DATABASE_URL": empty.url(as: "managed")],
                folder: folder.path)
            #expect(try worker.wait() == .code(0), "\(worker.error)")
            return worker.error
        }
        func mayCall() throws -> Bool? {
            try empty.connect().row(
                Bool.self, "select has_function_privilege('chat-get-me', 'api.get_me(caller)', 'execute')")
        }
        try postgres.admin {
            try $0.script("create role managed login createrole")
            try $0.script("alter database \(empty.name) owner to managed")
        }
        // As in databases that were made by Postgres 14.
        try empty.connect().script(
            "alter schema public owner to postgres; grant create on schema public to public, managed")
        #expect(try migrate().contains("have no role of their own"))
        #expect(try mayCall() == false)
        try empty.connect().script("revoke create on schema public from public")
        #expect(try !migrate().contains("have no role of their own"))
        #expect(try mayCall() == true)
        // Whoever belongs to another role could do what that may: one of both has an end.
        try empty.connect().script("grant pg_read_all_data to \"chat-get-me\"")
        _ = try migrate()
        let isMember = try empty.connect().row(
            Bool.self, "select pg_has_role('chat-get-me', 'pg_read_all_data', 'member')")
        #expect(try isMember != mayCall())
    }

    private func migrate() throws {
        let folder = try Folder()
        let worker = try Executable(
            "cron-worker", ["--migrate"], environment: ["DATABASE_URL": test.url], folder: folder.path)
        #expect(try worker.wait() == .code(0), "\(worker.error)")
    }
}
