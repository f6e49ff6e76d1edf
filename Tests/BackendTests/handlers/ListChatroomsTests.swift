import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct ListChatroomsTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `Rooms are listed, the last used first`() throws {
        let ids = try ["one", "two", "three"].map { try backend.room(person, ["title": .string($0)]) }
        _ = try backend.post("Hello", ids[0], person)
        let answer = try list()
        #expect(answer.status == 200)
        #expect(answer.json.names == ["chatrooms", "next_cursor"])
        #expect(titles(answer) == ["one", "three", "two"])
        #expect(answer.json["next_cursor"] == .null)
        #expect(try backend.call("list-chatrooms", token: backend.signIn().token).json["chatrooms"] == [])
    }

    @Test
    func `The second look is a hit, and the same list`() throws {
        _ = try backend.room(person, ["title": "one"])
        let (first, second) = (try list(), try list())
        #expect([first.header("X-Cache"), second.header("X-Cache")] == ["miss", "hit"])
        #expect(first.body == second.body)
        #expect(first.header("ETag") == second.header("ETag"))
    }

    @Test
    func `A hit lasts five minutes`() throws {
        _ = try list()
        let database = backend.database.connect()
        let seconds = try database.row(Double.self, "select extract(epoch from expires_at - now())::float8 from cache")
        #expect((280...300).contains(seconds ?? 0))
        try database.execute("update cache set expires_at = now() - interval '1 second'")
        #expect(try list().header("X-Cache") == "miss")
        #expect(try list().header("X-Cache") == "hit")
    }

    @Test
    func `After each kind of write the list is new`() throws {
        let room = try backend.room(person, ["title": "one"])
        _ = try list()
        _ = try backend.room(person, ["title": "two"])
        let made = try list()
        #expect(made.header("X-Cache") == "miss")
        #expect(titles(made) == ["two", "one"])
        _ = try backend.post("Hello", room, person)
        let posted = try list()
        #expect(posted.header("X-Cache") == "miss")
        #expect(titles(posted) == ["one", "two"])
        #expect(made.header("ETag") != posted.header("ETag"))
        #expect(try list().header("X-Cache") == "hit")
    }

    @Test
    func `What others write makes nobody's list anew`() throws {
        _ = try list()
        let other = try backend.signIn()
        _ = try backend.room(other)
        #expect(try list().header("X-Cache") == "hit")
    }

    @Test
    func `A list that the caller has is not sent again`() throws {
        _ = try backend.room(person, ["title": "one"])
        let tag = try #require(try list().header("ETag"))
        let same = try list(headers: ["If-None-Match": tag])
        #expect(same.status == 304)
        #expect(same.body.isEmpty)
        #expect(same.header("ETag") == tag)
        _ = try backend.room(person, ["title": "two"])
        let changed = try list(headers: ["If-None-Match": tag])
        #expect(changed.status == 200)
        #expect(changed.header("ETag") != tag)
        #expect(titles(changed) == ["two", "one"])
    }

    @Test
    func `A copy of another's list is no answer to the caller`() throws {
        let other = try backend.signIn()
        let room = try backend.room(person, ["title": "one"])
        let theirs = try backend.room(other, ["title": "theirs"])
        let tag = try #require(try backend.call("list-chatrooms", token: other.token).header("ETag"))
        let mine = try list()
        #expect(titles(mine) == ["one"])
        withExtendedLifetime((room, theirs, tag)) {}
        #expect(mine.header("Cache-Control")?.contains("private") == true)
    }

    @Test
    func `Pages show every room once`() throws {
        let made = try (1...7).map { try backend.room(person, ["title": .string("\($0)")]) }
        var seen: [String] = []
        var cursor: String? = ""
        while let place = cursor {
            let page = try list(query: "limit=3&cursor=\(place)").json
            #expect(page["chatrooms"].list.count <= 3)
            seen += page["chatrooms"].list.compactMap { $0["id"].text }
            cursor = page["next_cursor"].text
            _ = try backend.room(person, ["title": "in between"])
        }
        #expect(seen == Array(made.reversed()))
    }

    @Test(arguments: ["", ".5", ".12345", ".000001", ".123456"])
    func `A page goes on after a room of whatever time`(fraction: String) throws {
        for _ in 0..<2 { _ = try backend.room(person) }
        let time = "2026-11-22 12:00:00\(fraction)+00"
        try backend.database.connect().execute("update chatrooms set created_at = \(time)::timestamptz")
        let first = try list(query: "limit=1")
        let cursor = try #require(first.json["next_cursor"].text)
        let second = try list(query: "limit=1&cursor=\(cursor)")
        #expect(second.status == 200, "\(second.text)")
        #expect(second.json["chatrooms"].list.count == 1)
        #expect(second.json["chatrooms"][0]["id"] != first.json["chatrooms"][0]["id"])
    }

    @Test
    func `Pages show the rooms as they stood at the first of them, whatever is sent, changed and made meanwhile`()
        throws
    {
        let made = try (1...7).map { try backend.room(person, ["title": .string("\($0)")]) }
        var seen: [String] = []
        var cursor: String? = ""
        while let place = cursor {
            let page = try list(query: "limit=2&cursor=\(place)").json
            seen += page["chatrooms"].list.compactMap { $0["id"].text }
            cursor = page["next_cursor"].text
            // One that was shown, and one that is still to come.
            for room in [made[6], made[0]] { _ = try backend.post("Hello", room, person) }
            _ = try backend.call("update-chatroom", room: made[1], token: person.token, body: ["title": "changed"])
            _ = try backend.room(person, ["title": "in between"])
        }
        #expect(seen == Array(made.reversed()))
        #expect(try list().json["chatrooms"].list.map { $0["id"].text }.contains(made[0]))
    }

    @Test
    func `While others write, no page shows a room twice, and none is missed that nobody writes to`() throws {
        let backend = try Backend(processes: 2)
        let person = try backend.signIn()
        let rooms = try (0..<30).map { _ in try backend.room(person) }
        let over = Latch()
        let runs = try concurrently(5) { index -> [[String]] in
            if index < 3 {
                var number = index
                while !over.isSet {
                    // Every third room is left alone.
                    _ = try backend.post("Hello", rooms[number % 10 * 3 + index % 2], person)
                    number += 1
                }
                return []
            }
            defer { over.set() }
            return try (0..<15).map { _ in
                var seen: [String] = []
                var cursor: String? = ""
                while let place = cursor {
                    let query = "limit=7&cursor=\(place)"
                    let page = try backend.call("list-chatrooms", token: person.token, query: query).json
                    seen += page["chatrooms"].list.compactMap { $0["id"].text }
                    cursor = page["next_cursor"].text
                }
                return seen
            }
        }.flatMap { $0 }
        let quiet = Set(rooms.enumerated().filter { $0.offset % 3 == 2 }.map(\.element))
        #expect(runs.count == 30)
        for run in runs {
            #expect(run.count == Set(run).count)
            #expect(quiet.isSubset(of: run))
        }
    }

    @Test
    func `Pinned rooms stand first, on all pages together once`() throws {
        let ids = try (1...6).map { try backend.room(person, ["title": .string("\($0)")]) }
        _ = try list()
        for room in [ids[0], ids[3]] {
            _ = try backend.call("update-chatroom", room: room, token: person.token, body: ["pinned": true])
        }
        let all = try list()
        #expect(all.header("X-Cache") == "miss")
        #expect(titles(all) == ["4", "1", "6", "5", "3", "2"])
        for limit in 1...5 {
            var seen: [String?] = []
            var cursor: String? = ""
            while let place = cursor {
                let page = try list(query: "limit=\(limit)&cursor=\(place)")
                seen += titles(page)
                cursor = page.json["next_cursor"].text
            }
            #expect(seen == titles(all), "pages of \(limit)")
        }
        _ = try backend.post("Hello", ids[0], person)
        #expect(titles(try list()) == ["1", "4", "6", "5", "3", "2"])
    }

    @Test
    func `Every change to a room makes the list anew`() throws {
        let room = try backend.room(person, ["title": "one"])
        let changes: [(name: String, body: JSONValue?)] = [
            ("update-chatroom", ["title": "other"]), ("update-chatroom", ["pinned": true]),
            ("update-chatroom", ["retention_days": 3]), ("delete-chatroom", nil), ("restore-chatroom", nil),
            ("update-chatroom", ["archived": true]),
        ]
        for change in changes {
            let before = try list()
            #expect(try list().header("X-Cache") == "hit")
            let answer = try backend.call(change.name, room: room, token: person.token, body: change.body)
            #expect(answer.status < 300, "\(answer.text)")
            let after = try list()
            #expect(after.header("X-Cache") == "miss" && after.body != before.body, "\(change)")
        }
        #expect(try list().json["chatrooms"] == [])
    }

    @Test
    func `Archived rooms are apart`() throws {
        let room = try backend.room(person, ["title": "old"])
        _ = try backend.room(person, ["title": "new"])
        try backend.database.connect().execute("update chatrooms set archived = true where id = \(room)::uuid")
        #expect(titles(try list(query: "archived=true")) == ["old"])
        #expect(titles(try list()) == ["new"])
        #expect(titles(try list(query: "archived=false")) == ["new"])
        for value in ["", "1", "TRUE", "null", "true%20"] {
            expectProblem(try list(query: "archived=\(value)"), 422, "invalid", value)
        }
    }

    @Test
    func `No reader ever sees a list that is older than a write answered before`() throws {
        let backend = try Backend(processes: 3)
        let person = try backend.signIn()
        let progress = Progress()
        let stale = try concurrently(6) { index -> [String] in
            if index < 2 {
                for _ in 0..<60 {
                    let before = progress.begun()
                    _ = try backend.room(person, ["title": .string("w\(before)")])
                    progress.finished()
                }
                progress.end()
                return []
            }
            var stale: [String] = []
            while !progress.isOver {
                let known = progress.answered
                let answer = try backend.call("list-chatrooms", token: person.token, query: "")
                // The list shows at most 50, so that only the newest can be counted while there are fewer.
                let shown = answer.json["chatrooms"].list.count
                if shown < min(known, 50) { stale.append("\(shown) of \(known), \(answer.header("X-Cache") ?? "")") }
            }
            return stale
        }.flatMap { $0 }
        #expect(stale.isEmpty)
        #expect(progress.answered == 120)
    }

    @Test
    func `For ten seconds of writes of all kinds, none of eight readers sees what is older than an answered one`()
        throws
    {
        let backend = try Backend(processes: 3)
        let person = try backend.signIn()
        let (named, thrown) = (try backend.room(person, ["title": "0"]), try backend.room(person))
        let answered = Answered()
        let stale = try concurrently(9) { index -> (reads: Int, stale: [String]) in
            let end = now() + 10
            if index == 0 {
                var number = 0
                while now() < end || number < 6 {
                    number += 1
                    let title: JSONValue = ["title": .string("\(number)"), "pinned": .bool(number % 2 == 0)]
                    let renamed = try backend.call("update-chatroom", room: named, token: person.token, body: title)
                    #expect(renamed.status == 200)
                    answered.set { $0.title = number }
                    let sent = try backend.call(
                        "send-message", room: named, token: person.token, body: ["content": "\(number)"])
                    answered.set { $0.time = (sent.json["message"]["created_at"].text ?? "").padded }
                    for (endpoint, isThere) in [("delete-chatroom", false), ("restore-chatroom", true)] {
                        // Neither is so while one becomes the other.
                        answered.set { $0.isThere = nil }
                        #expect(try backend.call(endpoint, room: thrown, token: person.token).status < 300)
                        answered.set { $0.isThere = isThere }
                    }
                }
                return (0, [])
            }
            var (reads, stale) = (0, [String]())
            while now() < end || reads < 21 {
                let before = answered.value
                let answer = try backend.call("list-chatrooms", token: person.token)
                let after = answered.value
                let rooms = answer.json["chatrooms"].list
                let room = rooms.first { $0["id"].text == named } ?? .missing
                let what = "\(answer.header("X-Cache") ?? "") \(before) \(answer.text)"
                if Int(room["title"].text ?? "") ?? -1 < before.title { stale.append(what) }
                if (room["updated_at"].text ?? "").padded < before.time { stale.append(what) }
                let isThere = rooms.contains { $0["id"].text == thrown }
                if before.count == after.count, let known = before.isThere, known != isThere { stale.append(what) }
                reads += 1
            }
            return (reads, stale)
        }
        #expect(stale.flatMap(\.stale).isEmpty)
        #expect(answered.value.title > 5 && stale.dropFirst().allSatisfy { $0.reads > 20 })
        print("\(answered.value.count) writes, \(stale.map(\.reads).reduce(0, +)) reads")
    }

    @Test
    func `No reader ever sees a time of last use that is older than a message answered before`() throws {
        let backend = try Backend(processes: 3)
        let person = try backend.signIn()
        let room = try backend.room(person)
        let latest = Latest()
        let stale = try concurrently(5) { index -> [String] in
            if index == 0 {
                for number in 0..<150 {
                    let answer = try backend.call(
                        "send-message", room: room, token: person.token, body: ["content": .string("\(number)")])
                    latest.set(answer.json["message"]["created_at"].text ?? "")
                }
                latest.set("over")
                return []
            }
            var stale: [String] = []
            while true {
                let known = latest.value
                if known == "over" { return stale }
                let answer = try backend.call("list-chatrooms", token: person.token)
                let shown = answer.json["chatrooms"][0]["updated_at"].text ?? ""
                if shown.padded < known.padded { stale.append("\(shown) < \(known)") }
            }
        }.flatMap { $0 }
        #expect(stale.isEmpty)
    }

    private func list(query: String = "", headers: [String: String] = [:]) throws -> Answer {
        try backend.call("list-chatrooms", token: person.token, query: query, headers: headers)
    }

    private func titles(_ answer: Answer) -> [String?] { answer.json["chatrooms"].list.map { $0["title"].text } }
}

extension String {
    /// A time with all six digits of its fraction, so that texts compare as times do: Postgres leaves zeros out.
    fileprivate var padded: String {
        let parts = split(separator: ".")
        let fraction = parts.count > 1 ? String(parts[1].prefix { $0.isNumber }) : ""
        return (parts.first?.prefix(19) ?? "") + "." + fraction.padding(toLength: 6, withPad: "0", startingAt: 0)
    }
}

private final class Progress: @unchecked Sendable {
    private let lock = NSLock()
    private var counts = (begun: 0, answered: 0, ended: 0)
    var answered: Int { lock.withLock { counts.answered } }
    var isOver: Bool { lock.withLock { counts.ended == 2 } }
    func begun() -> Int {
        lock.withLock {
            counts.begun += 1
            return counts.begun
        }
    }
    func finished() { lock.withLock { counts.answered += 1 } }
    func end() { lock.withLock { counts.ended += 1 } }
}

/// What the answers to writes have said.
private final class Answered: @unchecked Sendable {
    struct Value {
        var title = 0
        var time = ""
        var isThere: Bool?
        var count = 0
    }
    private let lock = NSLock()
    private var state = Value()
    var value: Value { lock.withLock { state } }
    func set(_ change: (inout Value) -> Void) {
        lock.withLock {
            change(&state)
            state.count += 1
        }
    }
}

private final class Latest: @unchecked Sendable {
    private let lock = NSLock()
    private var text = ""
    var value: String { lock.withLock { text } }
    func set(_ value: String) { lock.withLock { text = value } }
}
