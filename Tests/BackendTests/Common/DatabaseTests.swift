import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct DatabaseTests {
    let postgres: Postgres
    let test: TestDatabase

    init() throws {
        postgres = try Postgres.shared()
        test = try postgres.createDatabase(isEmpty: true)
    }

    struct Row: Decodable, Equatable {
        let number: Int
        let text: String?
        let flag: Bool
        let ratio: Double?
    }

    @Test
    func `A row is decoded by the names of its columns`() throws {
        let row = try test.connect().row(
            Row.self,
            "select \(7)::int as number, \("seven")::text as text, \(true)::boolean as flag, \(0.5)::float8 as ratio")
        #expect(row == Row(number: 7, text: "seven", flag: true, ratio: 0.5))
    }

    @Test
    func `NULL is nil where it may be, and an error where not`() throws {
        let database = test.connect()
        let none: String? = nil
        let row = try database.row(
            Row.self, "select 1 as number, \(none)::text as text, false as flag, null::float8 as ratio")
        #expect(row == Row(number: 1, text: nil, flag: false, ratio: nil))
        #expect(throws: DatabaseError.self) {
            try database.row(Row.self, "select null::int as number, '' as text, true as flag, null::float8 as ratio")
        }
        #expect(throws: DatabaseError.self) { try database.row(Row.self, "select 1 as number") }
        #expect(throws: DatabaseError.self) { try database.row(Int.self, "select 'x'::text") }
        #expect(try database.row(Int.self, "select 1 where false") == nil)
        #expect(try database.rows(Int.self, "select * from generate_series(1, 3)") == [1, 2, 3])
    }

    @Test(arguments: [
        "'; drop table x; --", "$1", "\\", "\"", "{}", "{\"a\",NULL}", "NULL", "", " ", "\n\r\t", "é😀\u{2028}", "%s",
        "''",
    ])
    func `An interpolated value is a value and nothing else`(text: String) throws {
        let database = test.connect()
        #expect(try database.row(String.self, "select \(text)::text") == text)
        #expect(try database.row(Int.self, "select octet_length(\(text))") == text.utf8.count)
    }

    @Test
    func `A value with NUL is refused before it is sent, and the connection goes on`() throws {
        let database = test.connect()
        #expect(throws: DatabaseError.self) { try database.row(String.self, "select \("a\u{0}b")::text") }
        #expect(try database.row(Int.self, "select 1") == 1)
    }

    @Test
    func `Pieces of SQL within SQL are numbered on`() throws {
        let inner: SQL = "select \("b")::text as t where \(true)"
        let constant: SQL = "'$1'"
        let many: SQL = "\(1)::int + \(2)::int + \(3)::int + \(4)::int + \(5)::int + \(6)::int"
        let outer: SQL = """
            select \("a")::text || (select t from (\(inner)) i) || \(constant) || (\(many))::text || (\(many))::text
                || \("z")::text
            """
        #expect(try test.connect().row(String.self, outer) == "ab$12121z")
        #expect(outer.values.count == 16)
        #expect(!outer.text.contains("21"))
    }

    @Test
    func `Arrays carry NULL, quotes, backslashes and commas`() throws {
        let database = test.connect()
        let texts: [String?] = [nil, "", "NULL", "a,b", "{x}", "\"", "\\", "\\\"", " ", "é\n", "null"]
        let back = try database.rows(
            String?.self, "select t from unnest(\(texts)::text[]) with ordinality as u (t, n) order by n")
        #expect(back == texts)
        let numbers: [Int] = [3, -1, 0]
        #expect(try database.rows(Int.self, "select unnest(\(numbers)::int[])") == numbers)
        let none: [String] = []
        #expect(try database.row(Int.self, "select cardinality(\(none)::text[])") == 0)
    }

    @Test
    func `Statements say how many rows they touched`() throws {
        let database = test.connect()
        #expect(try database.execute("create table t (n int)") == 0)
        #expect(try database.execute("insert into t select generate_series(1, 5)") == 5)
        #expect(try database.execute("delete from t where n > \(3)::int") == 2)
    }

    @Test
    func `A transaction happens as a whole or not at all`() throws {
        struct Change: Error {}
        let database = test.connect()
        try database.execute("create table t (n int)")
        #expect(throws: Change.self) {
            try database.transaction {
                try database.execute("insert into t values (1)")
                throw Change()
            }
        }
        #expect(try database.row(Int.self, "select count(*) from t") == 0)
        #expect(throws: DatabaseError.self) {
            try database.transaction {
                try database.execute("insert into t values (1)")
                try database.execute("insert into t values ('x'::text::int)")
            }
        }
        #expect(try database.row(Int.self, "select count(*) from t") == 0)
        let value = try database.transaction {
            try database.execute("insert into t values (1)")
            return 5
        }
        #expect(value == 5)
        #expect(try test.connect().row(Int.self, "select count(*) from t") == 1)
    }

    @Test
    func `A deferred constraint that fails at the commit is an error`() throws {
        let database = test.connect()
        try database.script(
            "create table t (n int constraint t_n unique deferrable initially deferred); insert into t values (1)")
        var failure: DatabaseError?
        do {
            try database.transaction { _ = try database.execute("insert into t values (1)") }
        } catch let error as DatabaseError { failure = error }
        #expect(failure?.constraint == "t_n")
        #expect(try database.row(Int.self, "select count(*) from t") == 1)
    }

    @Test
    func `A violated rule is known by its name`() throws {
        let database = test.connect()
        try database.script("create table t (n int constraint t_positive check (n > 0) constraint t_once unique)")
        try database.execute("insert into t values (1)")
        for (value, name) in [(0, "t_positive"), (1, "t_once")] {
            var failure: DatabaseError?
            do { try database.execute("insert into t values (\(value))") } catch let error as DatabaseError {
                failure = error
            }
            #expect(failure?.constraint == name)
            #expect(failure?.isTemporary == false)
        }
        #expect(try database.row(Int.self, "select 1") == 1)
    }

    @Test
    func `A connection that the server ended is opened again`() throws {
        let database = test.connect()
        let pid = try #require(try database.row(Int.self, "select pg_backend_pid()"))
        try end(pid)
        let next = try #require(try database.row(Int.self, "select pg_backend_pid()"))
        #expect(next != pid)
    }

    @Test
    func `A statement that may have run is an error and is not run again`() throws {
        let database = test.connect()
        try database.execute("create table t (n int)")
        let pid = try #require(try database.row(Int.self, "select pg_backend_pid()"))
        let killer = Thread { [test] in
            let other = test.connect()
            do {
                try eventually("the statement") {
                    try other.row(
                        Int.self,
                        """
                        select count(*) from pg_stat_activity
                        where pid = \(pid)::int and state = 'active' and query like '%sleep%'
                        """) == 1
                }
                try other.execute("select pg_terminate_backend(\(pid)::int)")
            } catch { Issue.record(error) }
        }
        killer.start()
        var failure: DatabaseError?
        do {
            try database.execute("with s as (select pg_sleep(20)) insert into t select 1 from s")
        } catch let error as DatabaseError { failure = error }
        #expect(failure?.isTemporary == true)
        let other = test.connect()
        #expect(try other.row(Int.self, "select count(*) from t") == 0)
        // And the next one finds a new connection.
        #expect(try database.row(Int.self, "select 1") == 1)
        #expect(try other.row(Int.self, "select count(*) from t") == 0)
    }

    @Test
    func `A connection lost within a transaction ends the transaction`() throws {
        let database = test.connect()
        try database.execute("create table t (n int)")
        #expect(throws: DatabaseError.self) {
            try database.transaction {
                try database.execute("insert into t values (1)")
                try end(try #require(try database.row(Int.self, "select pg_backend_pid()")))
                try database.execute("insert into t values (2)")
            }
        }
        #expect(try database.row(Int.self, "select count(*) from t") == 0)
    }

    @Test
    func `A statement that takes too long is given up, and cancelled`() throws {
        let database = test.connect(timeout: 300)
        let least = try quickest(below: 5) {
            try seconds {
                #expect { try database.execute("select pg_sleep(20)") } throws: {
                    ($0 as? DatabaseError)?.isTemporary == true
                }
            }
        }
        #expect(least < 5)
        let other = test.connect()
        try eventually("the cancellation") {
            try other.row(
                Int.self,
                """
                select count(*) from pg_stat_activity
                where datname = current_database() and state = 'active' and query = 'select pg_sleep(20)'
                """) == 0
        }
        // On a busy machine another connection may take longer than that.
        try eventually("the next statement") { (try? database.row(Int.self, "select 1")) == 1 }
    }

    @Test
    func `Without prepared statements all is the same`() throws {
        let database = Database(test.url, prepares: false, timeout: 30_000)
        for number in 1...3 { #expect(try database.row(Int.self, "select \(number)::int") == number) }
        #expect(try database.row(Int.self, "select count(*) from pg_prepared_statements") == 0)
        #expect(try database.row(String.self, "select \("é'\\")::text") == "é'\\")
        let prepared = test.connect()
        for number in 1...3 { #expect(try prepared.row(Int.self, "select \(number)::int") == number) }
        #expect(try prepared.row(Int.self, "select count(*) from pg_prepared_statements where name <> ''") == 2)
    }

    @Test
    func `A prepared statement survives a change of its table`() throws {
        let database = test.connect()
        try database.script("create table t (n int); insert into t values (1)")
        #expect(try database.rows(Int.self, "select * from t") == [1])
        try test.connect().script("alter table t alter n type text, add more int")
        #expect(try database.rows(String.self, "select * from t") == ["1"])
    }

    @Test
    func `A prepared statement that the server has forgotten is prepared again`() throws {
        let database = test.connect()
        #expect(try database.row(Int.self, "select 1") == 1)
        try database.script("deallocate all")
        #expect(try database.row(Int.self, "select 1") == 1)
    }

    @Test
    func `Times are of UTC, whatever the server's zone`() throws {
        let name = test.name
        try test.connect().script("alter database \(name) set timezone = 'Asia/Kolkata'")
        let time = try test.connect().row(
            String.self, "select to_json('2026-11-22 12:00:00.5+05:30'::timestamptz) #>> '{}'")
        #expect(time?.hasPrefix("2026-11-22T06:30:00.5") == true)
        #expect(try test.connect().row(String.self, "show timezone") == "UTC")
    }

    @Test
    func `Notifications arrive, and end with the connection`() throws {
        let database = test.connect()
        try database.listen(to: "news")
        #expect(database.listens(to: "news"))
        try database.listen(to: "weather")
        try test.connect().execute("select pg_notify('news', 'é'), pg_notify('weather', 'wet')")
        var heard: [String] = []
        try eventually("the notifications") {
            heard += database.notifications().map { "\($0.channel) \($0.payload)" }
            return heard.count == 2
        }
        #expect(heard == ["news é", "weather wet"])
        database.close()
        #expect(!database.listens(to: "news"))
    }

    @Test
    func `The address may be a URI, keywords, several hosts, or the variables of libpq`() throws {
        let (sockets, name) = (postgres.sockets, test.name)
        let forms: [(String, [String: String])] = [
            ("postgresql://postgres@/\(name)?host=\(sockets)", [:]),
            ("postgres://postgres@\(sockets.replacingOccurrences(of: "/", with: "%2F"))/\(name)", [:]),
            ("host=\(sockets) dbname=\(name) user=postgres connect_timeout=3", [:]),
            ("host=/nonexistent,\(sockets) port=5432,5432 user=postgres dbname=\(name)", [:]),
            (
                "postgresql://postgres@/\(name)?host=/nonexistent&host=\(sockets)&target_session_attrs=read-write", [:]
            ),
            ("", ["PGHOST": sockets, "PGDATABASE": name, "PGUSER": "postgres"]),
        ]
        for (address, variables) in forms {
            let backend = try Backend(variables.merging(["DATABASE_URL": address]) { $1 }, database: migrated)
            // The database is an empty one: the schema is missing, but it was reached.
            #expect(try backend.call("ready").json["missing"] == ["schema", "worker"], "\(address)")
        }
        for address in ["host=/nonexistent", "nonsense", "postgresql://[", "host=\(sockets) frobnicate=1"] {
            let backend = try Backend(["DATABASE_URL": address], database: migrated)
            #expect(try backend.call("ready").json["missing"] == ["database"], "\(address)")
        }
    }

    private var migrated: TestDatabase { test }

    @Test
    func `A server that has stopped answering is given up in time`() throws {
        let postgres = try Postgres()
        let name = postgres.url()
        let open = Database(name, prepares: true, timeout: 700)
        #expect(try open.row(Int.self, "select 1") == 1)
        postgres.signalAll(SIGSTOP)
        defer { postgres.signalAll(SIGCONT) }
        // So that a statement that is never given up succeeds in the end and does not hold up all tests.
        DispatchQueue.global().asyncAfter(deadline: .now() + 30) { postgres.signalAll(SIGCONT) }
        var times: [Double] = []
        for database in [open] + (0..<4).map({ _ in Database(name, prepares: true, timeout: 700) }) {
            let began = now()
            var failure: DatabaseError?
            do { _ = try database.row(Int.self, "select 2") } catch let error as DatabaseError { failure = error }
            #expect(failure?.isTemporary == true)
            times.append(now() - began)
        }
        #expect(times.min() ?? 0 < 3)
    }

    private func end(_ pid: Int) throws {
        let other = test.connect()
        try other.execute("select pg_terminate_backend(\(pid)::int)")
        // It is not in pg_stat_activity any more before its end of the connection is closed.
        try eventually("its end") { access("/proc/\(pid)", F_OK) != 0 }
        // A connection that was in use a moment ago is not looked at before its next use.
        usleep(100_000)
    }
}
