import Common
import Foundation
import TestSupport
import Testing

/// The handlers' processes share fewer connections than there are processes.
@Suite(.threads)
struct ConnectionSlotTests {
    static let endpoints = [
        "get-me", "list-sessions", "get-usage", "list-ledger", "list-chatrooms", "get-chatroom", "list-trash",
        "list-messages", "get-message", "list-shares", "search-messages", "ready", "create-chatroom", "send-message",
        "update-chatroom",
    ]

    let folder: Folder

    init() throws {
        folder = try Folder()
        mkfifo(fifo, 0o600)
    }

    private var fifo: String { "\(folder.path)/connections" }

    private func settings(_ connections: Int) -> [String: String] {
        ["CONNECTIONS": String(connections), "CONNECTIONS_FIFO": fifo, "CONNECT_TIMEOUT_MS": "10000"]
    }

    @Test
    func `A client that goes round all endpoints gets no 5xx, and the worker replies meanwhile`() throws {
        // Twelve for the handlers, the rest for the worker and for this test.
        let postgres = try Postgres(["max_connections=20"])
        try postgres.migrateTemplate()
        let backend = try Backend(settings(12), database: postgres.createDatabase(), processes: 3)
        let person = try backend.signIn()
        let room = try backend.room(person)
        let worker = try backend.worker()
        let reply = try backend.post("[sandbox:say] Hi", room, person)
        _ = try backend.reply(reply, room, person)
        @Sendable func call(_ name: String) throws -> Answer {
            let body: JSONValue? = ["create-chatroom", "update-chatroom"].contains(name) ? ["title": "A"] : nil
            return try backend.call(
                name, room: room, message: reply, token: person.token,
                body: name == "send-message" ? ["content": "[sandbox:say] Hi"] : body,
                query: name == "search-messages" ? "q=hi" : "")
        }
        // So that every process of every endpoint has had a request.
        for name in ConnectionSlotTests.endpoints {
            let statuses = try concurrently(6) { _ in try call(name).status }
            #expect(statuses.allSatisfy { $0 < 500 }, "\(name): \(statuses)")
        }
        let rounds = try concurrently(3) { _ in
            try (0..<5).flatMap { _ in try ConnectionSlotTests.endpoints.map { "\($0) \(try call($0).status)" } }
        }
        let failures = rounds.joined().filter { $0.contains(" 5") }
        #expect(failures.isEmpty, "\(failures)")
        let last = try backend.post("[sandbox:say] Last", room, person)
        #expect(try backend.reply(last, room, person)["content"] == "Last")
        let open = try backend.database.connect().row(
            Int.self,
            """
            select count(*) from pg_stat_activity
            where datname = current_database() and backend_type = 'client backend'
            """)
        #expect(open ?? .max <= 12 + 3)
        #expect(!worker.error.contains("too many"), "\(worker.error)")
    }

    @Test
    func `Two processes share one connection, and who has been killed holds none`() throws {
        let backend = try Backend(settings(1))
        let database = backend.database.connect()
        let person = try Backend(database: backend.database).signIn()
        for name in ["get-me", "list-sessions", "get-me", "list-sessions"] {
            #expect(try backend.call(name, token: person.token).status == 200)
        }
        let statuses = try concurrently(20) {
            try backend.call($0 % 2 == 0 ? "get-me" : "list-sessions", token: person.token).status
        }
        #expect(statuses.allSatisfy { $0 == 200 }, "\(statuses)")
        #expect(try backend.call("get-me", token: person.token).status == 200)
        try backend.endpoint("get-me").processes[0].kill()
        #expect(try backend.call("list-sessions", token: person.token).status == 200)
        _ = database
    }

    @Test
    func `Where none becomes free in time it is 503 with Retry-After`() throws {
        var settings = settings(1)
        settings["CONNECT_TIMEOUT_MS"] = "300"
        let backend = try Backend(settings)
        let person = try Backend(database: backend.database).signIn()
        // One that holds a request keeps its connection.
        let conversation = try Backend(database: backend.database)
        let room = try conversation.room(person)
        let reply = try conversation.post("Hi", room, person)
        let held = try FastCGI(backend.endpoint("get-message").listener.path)
        held.sendRequest(
            Backend.parameters(room: room, message: reply, token: person.token, headers: ["Prefer": "wait=60"]))
        try eventually("the connection") {
            let answer = try backend.call("get-me", token: person.token)
            return answer.status == 503 && answer.header("Retry-After") != nil
        }
        held.hangUp()
        try eventually("a free connection") { try backend.call("get-me", token: person.token).status == 200 }
    }

    @Test
    func `Where Postgres itself has none left it is 503 with Retry-After`() throws {
        let postgres = try Postgres(["max_connections=8", "superuser_reserved_connections=0", "max_wal_senders=0"])
        try postgres.migrateTemplate()
        let backend = try Backend(database: postgres.createDatabase())
        let person = try backend.signIn()
        let others = (0..<8).map { _ in backend.database.connect() }
        for other in others { _ = try? other.row(Int.self, "select 1") }
        let answer = try backend.call("list-sessions", token: person.token)
        #expect(answer.status == 503 && answer.header("Retry-After") != nil)
        for other in others { other.close() }
        try eventually("a free connection") { try backend.call("list-sessions", token: person.token).status == 200 }
    }
}
