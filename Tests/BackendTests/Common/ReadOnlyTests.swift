import Common
import Foundation
import TestSupport
import Testing

/// Postgres takes no writes, as a standby or a primary that was demoted does (SQLSTATE 25006).
@Suite(.threads)
struct ReadOnlyTests {
    @Test
    func `Writes are 503 while Postgres is read-only, readiness says so, and both end with it`() throws {
        let backend = try Backend(["PGTARGETSESSIONATTRS": "any"])
        let person = try backend.signIn()
        let room = try backend.room(person)
        let worker = try backend.worker()
        try eventually("readiness") { try backend.call("ready").status == 200 }
        try expectReadOnly(backend, person, room) { isReadOnly in
            let name = backend.database.name
            try backend.database.postgres.admin {
                try $0.script("alter database \(name) set default_transaction_read_only = \(isReadOnly)")
                // The connections that there are do not hear of it.
                try $0.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = \(name)")
            }
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `So it is where the connections are kept, and where a server that takes writes is asked for`() throws {
        let postgres = try Postgres()
        try postgres.migrateTemplate()
        let backend = try Backend(database: postgres.createDatabase())
        let person = try backend.signIn()
        let room = try backend.room(person)
        let worker = try backend.worker()
        try eventually("readiness") { try backend.call("ready").status == 200 }
        try expectReadOnly(backend, person, room) { isReadOnly in
            try postgres.admin {
                try $0.execute("set default_transaction_read_only = off")
                try $0.script("alter system set default_transaction_read_only = \(isReadOnly)")
                try $0.execute("select pg_reload_conf()")
            }
        }
        withExtendedLifetime(worker) {}
    }

    private func expectReadOnly(
        _ backend: Backend, _ person: Backend.Person, _ room: String, set: (Bool) throws -> Void
    ) throws {
        let body: JSONValue = ["content": "[sandbox:say] Hi"]
        let before = try backend.post("[sandbox:say] Hi", room, person)
        _ = try backend.reply(before, room, person)
        try set(true)
        usleep(300_000)
        for _ in 0..<3 {
            for name in ["send-message", "create-chatroom"] {
                let answer = try backend.call(name, room: room, token: person.token, body: body)
                #expect(answer.status == 503 && answer.json["code"] == "unavailable", "\(name): \(answer.text)")
                #expect(answer.header("Retry-After") != nil)
            }
            let ready = try backend.call("ready")
            #expect(ready.status == 503 && ready.json["missing"] == ["database"])
        }
        try set(false)
        try eventually("a message") {
            try backend.call("send-message", room: room, token: person.token, body: body).status == 202
        }
        let after = try backend.post("[sandbox:say] Again", room, person)
        #expect(try backend.reply(after, room, person)["content"] == "Again")
        #expect(try backend.call("ready").status == 200)
    }

    @Test
    func `A connection that has become read-only is not used again`() throws {
        let test = try Postgres.shared().createDatabase(isEmpty: true)
        let database = test.connect()
        let pid = try database.row(Int.self, "select pg_backend_pid()")
        try database.execute("set default_transaction_read_only = on")
        try database.execute("create table t (n int)")
        #expect(try database.row(Int.self, "select pg_backend_pid()") != pid)
    }

    @Test(arguments: ["25006", "25P02", "26000", "42P05", "0A000"])
    func `A statement refused because of its connection is run on a new one`(state: String) throws {
        let test = try Postgres.shared().createDatabase(isEmpty: true)
        let database = test.connect()
        try database.script(
            """
            create table backends (pid int);
            create function is_new() returns int language plpgsql as $$ begin
                if (select pid from backends) = pg_backend_pid() then
                    raise exception using errcode = '\(state)', message = 'not on this connection';
                end if;
                return pg_backend_pid();
            end $$;
            insert into backends values (pg_backend_pid())
            """)
        let old = try database.row(Int.self, "select pid from backends")
        let pid = try database.row(Int.self, "select is_new()")
        #expect(pid != nil && pid != old)
    }

    @Test
    func `In a transaction it is an error that passes, and the connection is not used again`() throws {
        let test = try Postgres.shared().createDatabase(isEmpty: true)
        let database = test.connect()
        try database.script("create table t (n int); insert into t values (1)")
        func read() throws -> [String] {
            try database.transaction { try database.rows(String.self, "select * from t") }
        }
        #expect(try read() == ["1"])
        try test.connect().script("alter table t alter n type text, add more int")
        #expect { try read() } throws: { ($0 as? DatabaseError)?.isTemporary == true }
        #expect(try read() == ["1"])
    }

    @Test(arguments: [
        "08000", "08003", "08006", "08P01", "25006", "25P02", "25P03", "40001", "40P01", "53000", "53100", "53200",
        "53300",
        "55P03", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000", "58030",
    ])
    func `Errors that pass are told from those that stay`(state: String) throws {
        let test = try Postgres.shared().createDatabase(isEmpty: true)
        let database = test.connect()
        func failure(_ state: String) -> DatabaseError? {
            do {
                try database.execute(SQL(made: "do $$ begin raise exception using errcode = '\(state)'; end $$"))
                return nil
            } catch { return error as? DatabaseError }
        }
        #expect(failure(state)?.isTemporary == true)
        for state in ["22001", "23505", "42501", "42P01", "XX000"] { #expect(failure(state)?.isTemporary == false) }
    }
}
