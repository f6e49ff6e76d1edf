import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct MigrationsTests {
    let test: TestDatabase
    let folder: Folder

    init() throws {
        test = try Postgres.shared().createDatabase(isEmpty: true)
        folder = try Folder()
    }

    @Test
    func `An empty database gets the schema, and a second start changes nothing`() throws {
        let first = try migrate()
        #expect(try first.wait() == .code(0))
        #expect(first.output.hasPrefix("applied "))
        let applied = try names()
        #expect(applied.last == Migrations.newest && !applied.isEmpty)
        let second = try migrate()
        #expect(try second.wait() == .code(0))
        #expect(second.output == "schema is up to date\n")
        #expect(try names() == applied)
    }

    @Test
    func `Of eight starters at once each migration is applied by one`() throws {
        let starters = try (0..<8).map { _ in try migrate() }
        for starter in starters { #expect(try starter.wait(seconds: 60) == .code(0), "\(starter.error)") }
        let applied = starters.flatMap { starter in
            starter.output.hasPrefix("applied ")
                ? starter.output.dropFirst("applied ".count).split(whereSeparator: { ", \n".contains($0) }) : []
        }
        #expect(applied.count == Set(applied).count)
        let functions = try test.connect().rows(String.self, "select file || '.sql' from functions")
        #expect(Set(applied.map(String.init)) == Set(try names() + functions))
    }

    @Test
    func `A migration that fails leaves nothing of itself, and is applied when it can be`() throws {
        // In the way of a later migration: what came before it stays, it itself does not.
        try test.connect().script("create table jobs (n int)")
        let failed = try migrate()
        #expect(try failed.wait() == .code(1))
        #expect(failed.error.contains("jobs"))
        let applied = try names()
        #expect(!applied.isEmpty && applied.last != Migrations.newest)
        #expect(try test.connect().row(Bool.self, "select to_regclass('workers') is null") == true)
        try test.connect().script("drop table jobs")
        #expect(try migrate().wait() == .code(0))
        #expect(try names().last == Migrations.newest)
    }

    @Test
    func `Without a database it ends with an error that says why`() throws {
        let worker = try Executable(
            "cron-worker", ["--migrate"], environment: ["DATABASE_URL": "host=/nonexistent"], folder: folder.path)
        #expect(try worker.wait() == .code(1))
        #expect(worker.error.contains("/nonexistent"))
    }

    @Test
    func `Every table that belongs to a user can be found by the user`() throws {
        #expect(try migrate().wait() == .code(0))
        // So that the schema can be distributed by user: their keys begin with the user.
        let keys = try test.connect().rows(
            String.self,
            """
            select c.conrelid::regclass::text || ':' || a.attname from pg_constraint c
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
            where c.contype = 'p' and exists (
                select from pg_attribute u where u.attrelid = c.conrelid and u.attname = 'user_id')
            """)
        #expect(keys.count >= 4)
        #expect(keys.allSatisfy { $0.hasSuffix(":user_id") }, "\(keys)")
    }

    @Test
    func `A dump is restored whole`() throws {
        let world = try World()
        _ = try world.backend.post("Is this in the dump?", world.room, world.person)
        let dump = folder.path + "/dump.sql"
        let dumped = try Executable(
            "/usr/bin/pg_dump", ["-d", world.backend.database.url, "-f", dump], folder: folder.path)
        #expect(try dumped.wait(seconds: 60) == .code(0), "\(dumped.error)")
        let restored = try Executable(
            "/usr/bin/psql", ["-X", "-v", "ON_ERROR_STOP=1", "-d", test.url, "-f", dump], folder: folder.path)
        #expect(try restored.wait(seconds: 60) == .code(0), "\(restored.error)")
        let rows = try test.dump()
        #expect(rows.contains { $0.contains("Is this in the dump?") })
        #expect(try rows == world.backend.database.dump())
    }

    @Test
    func `schema sql shows what the migrations make`() throws {
        let migrated = try Postgres.shared().createDatabase()
        let script = "cd \"$0\" && . bin/lib/postgres.sh && . bin/lib/schema.sh && print_schema \"$1\""
        let printing = try Executable(
            "/bin/bash", ["-c", script, projectFolder, migrated.url], folder: folder.path)
        #expect(try printing.wait() == .code(0), "\(printing.error)")
        let file = try String(contentsOfFile: "\(projectFolder)/Sources/Common/Schema/schema.sql", encoding: .utf8)
        let difference = file.split(separator: "\n").difference(from: printing.output.split(separator: "\n"))
        #expect(difference.isEmpty, "run bin/schema, which writes schema.sql: \(difference.prefix(4).map { "\($0)" })")
    }

    private func migrate() throws -> Executable {
        try Executable("cron-worker", ["--migrate"], environment: ["DATABASE_URL": test.url], folder: folder.path)
    }

    private func names() throws -> [String] {
        try test.connect().rows(String.self, "select name from migrations order by applied_at")
    }
}
