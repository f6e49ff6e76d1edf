import Common
import Foundation
import TestSupport
import Testing

/// Cursors: whose they are, what they are good for, and who made them.
@Suite(.threads)
struct PageTests {
    let backend: Backend
    let person: Backend.Person
    let rooms: [String]

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        let person = try backend.signIn()
        self.person = person
        rooms = try (0..<2).map { [backend] _ in try backend.room(person, ["title": "A room"]) }
        for room in rooms { for number in 0..<2 { _ = try backend.post("\(number)", room, person) } }
        for archived in [true, false] {
            for _ in 0..<2 {
                let room = try backend.room(person)
                _ = try backend.call(
                    "update-chatroom", room: room, token: person.token, body: ["archived": .bool(archived)])
            }
        }
        for _ in 0..<2 {
            _ = try backend.call("delete-chatroom", room: backend.room(person), token: person.token)
            _ = try backend.call("export-me", token: person.token)
        }
    }

    /// A list, and how it is asked for.
    struct List: Sendable, CustomTestStringConvertible {
        let name: String
        var room = 0
        var query = ""
        var testDescription: String { name }
    }

    static let lists = [
        List(name: "list-chatrooms"), List(name: "list-chatrooms", query: "archived=true&"),
        List(name: "list-messages"), List(name: "list-messages", room: 1), List(name: "list-trash"),
        List(name: "list-security-events"), List(name: "search-messages", query: "q=A&"),
        List(name: "search-messages", query: "q=room&"),
    ]

    @Test
    func `A cursor goes on in its own list, and in no other`() throws {
        for (index, list) in Self.lists.enumerated() {
            let cursor = try cursor(list)
            for (other, target) in Self.lists.enumerated() {
                let answer = try get(target, cursor)
                if other == index {
                    #expect(answer.status == 200, "\(answer.text)")
                } else {
                    expectProblem(answer, 422, "invalid", "\(list) in \(target)")
                    #expect(answer.json["errors"][0]["field"] == "cursor")
                }
            }
        }
    }

    @Test
    func `It is its user's alone`() throws {
        let other = try backend.signIn()
        for list in Self.lists where list.name != "list-messages" {
            let answer = try backend.call(
                list.name, token: other.token, query: "\(list.query)cursor=\(try cursor(list))")
            expectProblem(answer, 422, "invalid", list.name)
        }
        // Another session of theirs may use it.
        let again = try backend.signIn(mobile: person.mobile)
        let cursor = try cursor(Self.lists[0])
        #expect(try backend.call("list-chatrooms", token: again.token, query: "cursor=\(cursor)").status == 200)
    }

    @Test
    func `No other byte of it passes`() throws {
        let cursor = try cursor(Self.lists[2])
        let bytes = try #require(Sodium.decode(cursor))
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            expectProblem(try get(Self.lists[2], Sodium.base64url(changed)), 422, "invalid", "byte \(index)")
        }
        for length in [0, 1, 15, 16, 17, bytes.count - 1] where length > 0 {
            expectProblem(try get(Self.lists[2], Sodium.base64url(bytes.prefix(length))), 422, "invalid")
        }
        #expect(try get(Self.lists[2], cursor).status == 200)
    }

    @Test
    func `Any of the keys verifies one, and a key that is gone does not`() throws {
        let cursor = try cursor(Self.lists[2])
        let old = "old:\(Data(Backend.olderKey).base64EncodedString())"
        let new = "new:\(Data(Backend.key).base64EncodedString())"
        for (keys, status) in [("\(old),\(new)", 200), (new, 200), (old, 422)] {
            let other = try Backend(["TOKEN_KEYS": keys, "OTP_RESEND_SECONDS": "0"], database: backend.database)
            let token = try other.signIn(mobile: person.mobile).token
            let answer = try other.call("list-messages", room: rooms[0], token: token, query: "cursor=\(cursor)")
            #expect(answer.status == status, "\(answer.text)")
        }
    }

    private func get(_ list: List, _ cursor: String) throws -> Answer {
        try backend.call(
            list.name, room: list.name == "list-messages" ? rooms[list.room] : nil, token: person.token,
            query: "\(list.query)limit=1&cursor=\(cursor)")
    }

    private func cursor(_ list: List) throws -> String { try #require(try get(list, "").json["next_cursor"].text) }
}
