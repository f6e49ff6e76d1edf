import Common
import Foundation
import TestSupport
import Testing

/// Behind PgBouncer, by transaction: Debian's, and a newer one where `bench/pgbouncer` has built it.
@Suite(.threads)
struct PoolerTests {
    let database: TestDatabase

    init() throws { database = try Postgres.shared().createDatabase() }

    @Test(arguments: PgBouncer.programs, ["on", "off"])
    func `All of it works, and nothing of it reaches other clients`(program: String, prepared: String) throws {
        let bouncer = try PgBouncer(program, before: database.postgres)
        let url = bouncer.url(database.name)
        let backend = try Backend(
            ["DATABASE_URL": url, "PREPARED_STATEMENTS": prepared], database: database, processes: 2)
        let person = try backend.signIn()
        let room = try backend.room(person)
        let worker = try backend.worker()
        try eventually("readiness") { try backend.call("ready").status == 200 }

        // Who waits, and who reads along.
        let first = try backend.post("The ferry to Lisbon [sandbox:chunks n=5 ms=50]", room, person)
        let waiting = try request("get-message", first, room, person, backend, headers: ["Prefer": "wait=30"])
        let stream = EventStream(try request("stream-reply", first, room, person, backend))
        // On a busy machine it may take longer than anybody is held.
        let waited = try waiting.answer().json["status"].text
        #expect(["running", "done"].contains(waited))
        #expect(try backend.reply(first, room, person)["status"] == "done")
        let events = try stream.rest()
        #expect(events.last?.name == "done" && stream.isWhole, "\(events)")

        // Many at once.
        let rooms = try (0..<8).map { _ in try backend.room(person) }
        let replies = try concurrently(40) { try backend.post("[sandbox:say] \($0)", rooms[$0 % 8], person) }
        for (index, reply) in replies.enumerated() {
            #expect(try backend.reply(reply, rooms[index % 8], person)["content"] == .string("\(index)"))
        }

        let hanging = try backend.post("[sandbox:hang ms=600000 after=1]", room, person)
        try eventually("its beginning") {
            try backend.call("get-message", room: room, message: hanging, token: person.token).json["status"]
                == "running"
        }
        let cancelled = try backend.call("cancel-reply", room: room, message: hanging, token: person.token, body: [:])
        #expect(cancelled.json["status"] == "cancelled")
        let next = try backend.post("[sandbox:say] Next", room, person)
        #expect(try backend.reply(next, room, person)["content"] == "Next")

        try eventually("the message") {
            let found = try backend.call("search-messages", token: person.token, query: "q=ferry")
            return found.status == 200 && !found.json["results"].list.isEmpty
        }

        let limited = try Backend(
            ["DATABASE_URL": url, "PREPARED_STATEMENTS": prepared, "LIMITS": "on"], database: database)
        let other = try backend.signIn()
        let otherRoom = try backend.room(other)
        let statuses = try (0..<6).map { _ in
            try limited.call("send-message", room: otherRoom, token: other.token, body: ["content": "Hi"]).status
        }
        #expect(statuses == [202, 202, 202, 202, 202, 429])
        try expectNothingLeaked(url)
        withExtendedLifetime((worker, bouncer)) {}
    }

    /// Looks at whatever connection it is given.
    private func expectNothingLeaked(_ url: String) throws {
        let seen = try concurrently(5) { _ in
            let client = Database(url, prepares: false, timeout: 30_000)
            return try (0..<10).map { _ in
                try client.row(
                    String.self,
                    """
                    select concat_ws(' ', (select count(*) from pg_listening_channels()), current_setting('plan_cache_mode'),
                        current_setting('enable_seqscan'), current_setting('jit'), pg_sleep(0.01))
                    """)
            }
        }
        #expect(Set(seen.joined()) == ["0 auto on on "])
    }

    private func request(
        _ name: String, _ reply: String, _ room: String, _ person: Backend.Person, _ backend: Backend,
        headers: [String: String] = [:]
    ) throws -> FastCGI {
        let connection = try FastCGI(backend.endpoint(name).listener.path)
        connection.sendRequest(
            Backend.parameters(room: room, message: reply, token: person.token, headers: headers))
        return connection
    }

    @Test(arguments: PgBouncer.programs)
    func `Nothing is listened to through it`(program: String) throws {
        let bouncer = try PgBouncer(program, before: database.postgres)
        let pooled = Database(bouncer.url(database.name), prepares: true, timeout: 30_000)
        #expect(try pooled.listen(to: "news") == false)
        #expect(!pooled.listens(to: "news"))
        #expect(try database.connect().listen(to: "news"))
        withExtendedLifetime(bouncer) {}
    }

    @Test(arguments: PgBouncer.programs)
    func `A statement is never taken for that of another client`(program: String) throws {
        let bouncer = try PgBouncer(program, before: database.postgres, ["default_pool_size = 1"])
        let clients = (0..<4).map { _ in Database(bouncer.url(database.name), prepares: true, timeout: 30_000) }
        for _ in 0..<3 {
            for (index, client) in clients.enumerated() {
                let statement = SQL(made: "select \(index)")
                #expect(try client.row(Int.self, statement) == index)
                #expect(try client.row(Int.self, "select \(index)::int + 100") == index + 100)
            }
        }
        withExtendedLifetime(bouncer) {}
    }
}
