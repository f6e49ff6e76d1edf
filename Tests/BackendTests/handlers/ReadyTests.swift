import Common
import TestSupport
import Testing

@Suite(.threads)
struct ReadyTests {
    @Test
    func `Ready with Postgres, the schema and a worker`() throws {
        let backend = try Backend()
        let worker = try backend.worker()
        try eventually("readiness") { try backend.call("ready").status == 200 }
        #expect(try backend.call("ready").json["status"] == "ready")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Without a worker for a while it says so`() throws {
        let backend = try Backend()
        try expectMissing(backend, ["worker"])
        let database = backend.database.connect()
        try database.execute(
            """
            insert into workers (id, host, pid, seen_at) values (gen_random_uuid(), 'h', 1, now() - interval '3 minutes')
            """)
        try expectMissing(backend, ["worker"])
        try database.execute("update workers set seen_at = now()")
        #expect(try backend.call("ready").status == 200)
    }

    @Test
    func `Without the schema, or with an older one, it says so`() throws {
        try expectMissing(
            try Backend(database: try Postgres.shared().createDatabase(isEmpty: true)), ["schema", "worker"])
        let backend = try Backend()
        try backend.database.connect().execute("delete from migrations where name = \(Migrations.newest)")
        try expectMissing(backend, ["schema", "worker"])
    }

    @Test
    func `Without Postgres it says so within a second`() throws {
        let backend = try Backend(["DATABASE_URL": "postgresql:///x?host=/nonexistent"])
        _ = try backend.call("ready")
        let least = try quickest(below: 1) { try seconds { try expectMissing(backend, ["database"]) } }
        #expect(least < 1)
    }

    private func expectMissing(_ backend: Backend, _ missing: JSONValue) throws {
        let answer = try backend.call("ready")
        #expect(answer.status == 503)
        #expect(answer.json["missing"] == missing)
        #expect(answer.header("Retry-After") != nil)
    }
}
