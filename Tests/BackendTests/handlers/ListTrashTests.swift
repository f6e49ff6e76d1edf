import Common
import TestSupport
import Testing

@Suite(.threads)
struct ListTrashTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `Deleted rooms are listed, the last one first, with the time of their end`() throws {
        let rooms = try ["one", "two", "three"].map { try backend.room(person, ["title": .string($0)]) }
        for room in [rooms[0], rooms[2]] { _ = try delete(room) }
        let answer = try list()
        #expect(answer.status == 200 && answer.json.names == ["chatrooms", "next_cursor"])
        #expect(answer.json["next_cursor"] == .null)
        let listed = answer.json["chatrooms"].list
        #expect(listed.map { $0["title"].text } == ["three", "one"])
        let room = try backend.call("get-chatroom", room: rooms[1], token: person.token).json
        #expect(
            listed[0].names == room.names.subtracting(["messages", "next_cursor"]).union(["deleted_at", "purge_at"]))
        let days = try backend.database.connect().row(
            Double.self,
            """
            select extract(epoch from \(listed[0]["purge_at"].text)::timestamptz - \(listed[0]["deleted_at"].text)::timestamptz)
                ::float8 / 86400
            """)
        #expect(days == 30)
    }

    @Test
    func `Each user has a trash of their own`() throws {
        let other = try backend.signIn()
        _ = try delete(try backend.room(person))
        #expect(try backend.call("list-trash", token: other.token).json["chatrooms"] == [])
    }

    @Test
    func `Pages show each once while rooms are thrown away`() throws {
        let rooms = try (1...7).map { _ in try backend.room(person) }
        for room in rooms { _ = try delete(room) }
        var seen: [String] = []
        var cursor: String? = ""
        while let place = cursor {
            let page = try list("limit=3&cursor=\(place)").json
            seen += page["chatrooms"].list.compactMap { $0["id"].text }
            cursor = page["next_cursor"].text
            _ = try delete(try backend.room(person))
        }
        #expect(seen == Array(rooms.reversed()))
    }

    @Test
    func `What is over is not in it`() throws {
        let backend = try Backend(["TRASH_DAYS": "2"])
        let person = try backend.signIn()
        let room = try backend.room(person)
        _ = try backend.call("delete-chatroom", room: room, token: person.token)
        func listed() throws -> Int { try backend.call("list-trash", token: person.token).json["chatrooms"].list.count }
        #expect(try listed() == 1)
        try backend.database.connect().execute("update chatrooms set deleted_at = now() - interval '2 days'")
        #expect(try listed() == 0)
        expectProblem(try backend.call("restore-chatroom", room: room, token: person.token), 404, "not_found")
        expectProblem(try backend.call("purge-chatroom", room: room, token: person.token), 404, "not_found")
    }

    private func list(_ query: String = "") throws -> Answer {
        try backend.call("list-trash", token: person.token, query: query)
    }

    private func delete(_ room: String) throws -> Answer {
        try backend.call("delete-chatroom", room: room, token: person.token)
    }
}
