import Common
import TestSupport
import Testing

@Suite(.threads)
struct PurgeChatroomTests {
    let backend: Backend
    let person: Backend.Person
    let counter = Counter()

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `Nothing of the room is left in any table, and all of another is`() throws {
        let (gone, kept) = (try lived(), try lived())
        func rows(of room: String) throws -> [String] {
            let messages = try backend.database.connect().rows(
                String.self, "select id from messages where chatroom_id = \(room)::uuid")
            return try backend.database.dump().filter { row in
                row.contains(room) || messages.contains { row.contains($0) }
            }.sorted()
        }
        let tables = Set(try rows(of: gone).compactMap { $0.split(separator: " ").first.map(String.init) })
        #expect(
            tables.isSuperset(of: ["chatrooms", "messages", "branches", "summaries", "deltas", "idempotency_keys"]))
        _ = try backend.call("delete-chatroom", room: gone, token: person.token)
        let before = try rows(of: kept)
        let messages = try backend.database.connect().rows(
            String.self, "select id from messages where chatroom_id = \(gone)::uuid")
        let answer = try backend.call("purge-chatroom", room: gone, token: person.token)
        #expect(answer.status == 204 && answer.body.isEmpty)
        // Receipts stay, which have nothing of what was said.
        let left = try backend.database.dump().filter { row in
            !row.hasPrefix("ledger ") && (row.contains(gone) || messages.contains { row.contains($0) })
        }
        #expect(left == [])
        #expect(try rows(of: kept) == before)
        expectProblem(try backend.call("purge-chatroom", room: gone, token: person.token), 404, "not_found")
        expectProblem(try backend.call("restore-chatroom", room: gone, token: person.token), 404, "not_found")
    }

    @Test
    func `A room that is not in the trash stays`() throws {
        let room = try lived()
        expectProblem(try backend.call("purge-chatroom", room: room, token: person.token), 404, "not_found")
        #expect(try backend.call("get-chatroom", room: room, token: person.token).json["messages"].list.count == 2)
    }

    @Test
    func `The worker does it when the time in the trash is over, a long room a little at a time`() throws {
        let rooms = try (0..<3).map { _ in try lived() }
        let database = backend.database.connect()
        try database.execute(
            """
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at)
            select \(person.id), \(rooms[0]), uuidv7(now() - n * interval '1 second'), 'user', 'x', 'done', now()
            from generate_series(1, 12000) n
            """)
        for room in rooms.prefix(2) { _ = try backend.call("delete-chatroom", room: room, token: person.token) }
        func age(_ time: SQL) throws {
            try database.execute("update chatrooms set deleted_at = now() - \(time) where deleted_at is not null")
        }
        func work() throws {
            let worker = try backend.worker(seconds: 1)
            #expect(try worker.wait() == .code(0))
        }
        // As long as it can be restored, and while that may be under way.
        for time: SQL in ["interval '29 days 23 hours'", "interval '30 days 30 minutes'"] {
            try age(time)
            try work()
            #expect(try database.row(Int.self, "select count(*) from messages") == 12_009)
        }
        try age("interval '30 days 2 hours'")
        let worker = try backend.worker()
        try eventually("the end of both") {
            try database.row(Int.self, "select count(*) from chatrooms") == 1
        }
        worker.terminate()
        try worker.wait()
        let left = try backend.database.dump().filter { row in
            !row.hasPrefix("ledger ") && rooms.prefix(2).contains { row.contains($0) }
        }
        #expect(left == [])
        #expect(try backend.call("get-chatroom", room: rooms[2], token: person.token).json["messages"].list.count == 2)
    }

    /// A room in which everything was used.
    private func lived() throws -> String {
        let made = try backend.call(
            "create-chatroom", token: person.token, body: ["title": "Travel"],
            headers: ["Idempotency-Key": "\(counter.next())"])
        let room = try #require(made.json["id"].text)
        let reply = try backend.post("Hello", room, person)
        let database = backend.database.connect()
        try database.execute(
            """
            with job as (delete from jobs where id = \(reply)::uuid)
            update messages set status = 'done', content = 'Hi' where id = \(reply)::uuid
            """)
        _ = try backend.call("regenerate-reply", room: room, message: reply, token: person.token)
        try database.execute("insert into deltas values (\(person.id), \(reply), 1, 0, 'Hi')")
        try database.execute(
            """
            insert into summaries (user_id, chatroom_id, upto, content, tokens)
            values (\(person.id), \(room), \(reply), 'They said hello', 3)
            """)
        return room
    }
}
