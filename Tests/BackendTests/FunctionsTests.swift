import Common
import Foundation
import TestSupport
import Testing

/// The functions of Postgres, checked as by a compiler: PL/pgSQL itself checks a statement when it first executes it.
@Suite(.threads)
struct FunctionsTests {
    let test: TestDatabase
    let database: Database

    init() throws {
        test = try Postgres.shared().createDatabase()
        database = test.connect(timeout: 120_000)
    }

    /// Parts of warnings that tell of no mistake, and why.
    private static let unfounded: [(part: String, reason: String)] = [
        (
            "routine is marked as VOLATILE, should be",
            "A function sees what was committed while it waited only if it is volatile."
        ),
        (
            "target type is different type than source type",
            "A cast of one number costs nothing that could be measured."
        ),
        ("is maybe unmodified", "A function that refuses returns its verdict alone."),
        ("unmodified OUT variable \"verdict\"", "Each function of an endpoint has one, also where it refuses nothing."),
    ]

    private struct Finding: Decodable {
        let function: String
        let line: Int?
        let level: String
        let message: String
        let detail: String?
        let hint: String?

        var text: String {
            ["\(function), line \(line ?? 0): \(level): \(message)", detail, hint].compactMap { $0 }
                .joined(separator: "; ")
        }
    }

    @Test
    func `plpgsql_check finds no mistake in any function`() throws {
        let version = try database.row(Int.self, "select current_setting('server_version_num')::int / 10000") ?? 0
        let isInstalled = try database.row(
            Bool.self, "select exists (select from pg_available_extensions where name = 'plpgsql_check')")
        guard isInstalled == true else {
            Issue.record(
                "plpgsql_check is missing: run bin/test, or apt-get install postgresql-\(version)-plpgsql-check")
            return
        }
        try database.script("create extension plpgsql_check")
        let functions: SQL = """
            from pg_proc p join pg_language l on l.oid = p.prolang
            left join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
            where l.lanname = 'plpgsql' and p.proname <> 'message_arrives' -- the release before calls it, and nobody else
                and p.pronamespace in ('public'::regnamespace, 'api'::regnamespace)
            """
        let count = try database.row(Int.self, "select count(distinct p.oid) \(functions)") ?? 0
        #expect(count > 100, "\(count) functions")
        let findings = try database.rows(
            Finding.self,
            """
            select f.name as function, c.lineno as line, c.level, c.message, c.detail, c.hint
            from (
                select p.oid::regprocedure as name, coalesce(t.tgrelid, 0::oid)::regclass as on_table,
                    t.tgoldtable, t.tgnewtable
                \(functions)
            ) f cross join lateral plpgsql_check_function_tb(
                f.name, f.on_table, fatal_errors => false, other_warnings => true, performance_warnings => true,
                extra_warnings => true, security_warnings => true, oldtable => f.tgoldtable, newtable => f.tgnewtable) c
            order by f.name::text, c.lineno
            """)
        for finding in findings where !isUnfounded(finding) { Issue.record("\(finding.text)") }
    }

    private func isUnfounded(_ finding: Finding) -> Bool {
        finding.level != "error" && FunctionsTests.unfounded.contains { finding.message.contains($0.part) }
    }

    // MARK: Locks

    @Test
    func `Each advisory lock has a name`() throws {
        let folders = ["Sources/Common/Schema/Functions", "Sources/handlers", "Sources/cron-worker"]
        for folder in folders {
            for file in try FileManager.default.subpathsOfDirectory(atPath: "\(projectFolder)/\(folder)") {
                guard file.hasSuffix(".sql") || file.hasSuffix(".swift") else { continue }
                let text = try String(contentsOfFile: "\(projectFolder)/\(folder)/\(file)", encoding: .utf8)
                for call in text.matches(of: /pg_(?:try_)?advisory_\w+\((?<lock>\w+)/) {
                    #expect(call.output.lock.hasSuffix("_lock"), "\(folder)/\(file): \(call.output.0)")
                }
            }
        }
    }

    @Test
    func `The locks are those of the release before`() throws {
        // Both may run beside each other, so that these are never changed.
        let owner = "'0193a5c0-0000-7000-8000-000000000001'::uuid"
        for (name, value) in [
            ("rooms_lock(\(owner))", "uuid_hash_extended(\(owner), 1)"),
            ("request_lock(\(owner), 'key')", "hashtextextended('key', uuid_hash_extended(\(owner), 3))"),
            ("storage_lock(\(owner))", "uuid_hash_extended(\(owner), 5)"),
            ("shares_lock(\(owner))", "uuid_hash_extended(\(owner), 6)"),
            ("export_lock(\(owner))", "uuid_hash_extended(\(owner), 40)"),
            ("claims_lock()", "7401333"), ("generations_lock()", "7401334"),
        ] {
            let isSame = try database.row(Bool.self, SQL(made: "select \(name) = \(value)"))
            #expect(isSame == true, "\(name)")
        }
    }

    @Test
    func `The name of a lock costs nothing: Postgres puts its value in place of the call`() throws {
        for call in [
            "rooms_lock(id)", "request_lock(id, 'key')", "storage_lock(id)", "shares_lock(id)", "export_lock(id)",
        ] {
            let plan = try database.rows(
                String.self, SQL(made: "explain (verbose, costs off) select \(call) from users"))
            #expect(plan.contains { $0.contains("uuid_hash_extended(id") }, "\(plan)")
            #expect(!plan.contains { $0.contains("_lock(") }, "\(plan)")
        }
    }
}
