import Common
import Foundation
import TestSupport
import Testing

/// Titles and summaries.
@Suite(.threads)
struct ChoresTests {
    private func title(_ world: World, _ room: String) throws -> String? {
        try world.backend.call("get-chatroom", room: room, token: world.person.token).json["title"].text
    }

    private func untitledRoom(_ world: World) throws -> String {
        let answer = try world.backend.call("create-chatroom", token: world.person.token, body: [:])
        return try #require(answer.json["id"].text)
    }

    @Test
    func `A room without a title gets one from its first exchange, and the list shows it`() throws {
        let world = try World(["TITLES": "on"])
        let worker = try world.backend.worker()
        let room = try untitledRoom(world)
        func list() throws -> Answer { try world.backend.call("list-chatrooms", token: world.person.token) }
        _ = try list()
        _ = try world.ask("[sandbox:say] \"A visit to **Lisbon**.\"", in: room)
        try eventually("a title") { try title(world, room) != nil }
        let listed = try list().json["chatrooms"].list.first { $0["id"].text == room }
        #expect(listed?["title"].text == (try title(world, room)))
        let requests = try world.backend.gemini().requests()
        #expect(requests.count == 2)
        #expect(requests[1].body["systemInstruction"]["parts"][0]["text"].text?.contains("title") == true)
        #expect(requests[1].turns.count == 1 && requests[1].turns[0].contains("Lisbon"))
        // And no other.
        _ = try world.ask("Hello", in: room)
        #expect(try world.backend.gemini().requests().count == 3)
        #expect(try world.jobs() == 0)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A title is of the first exchange that was answered, and a summary leaves out what failed`() throws {
        let world = try World(["TITLES": "on", "CONTEXT_TOKENS": "500"])
        let worker = try world.backend.worker()
        let room = try untitledRoom(world)
        #expect(try world.ask("[sandbox:poison] Words that are blocked", in: room)["status"] == "failed")
        #expect(try world.ask("[sandbox:say] A visit to Lisbon", in: room)["status"] == "done")
        try eventually("a title") { try title(world, room)?.contains("Lisbon") == true }
        var number = 0
        try eventually("a summary") {
            number += 1
            #expect(
                try world.ask("Number \(number) " + String(repeating: "word ", count: 40), in: room)["status"] == "done"
            )
            try eventually("the end of all chores") { try world.jobs() == 0 }
            return try world.database.row(Int.self, "select count(*) from summaries") ?? 0 > 0
        }
        let summing = try world.backend.gemini().requests().filter {
            $0.body["systemInstruction"]["parts"][0]["text"].text?.hasPrefix("Sum up") == true
        }
        #expect(summing.isEmpty == false && summing.allSatisfy { !$0.turns[0].contains("blocked") })
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A title that somebody gave stays`() throws {
        let world = try World(["TITLES": "on"])
        let worker = try world.backend.worker()
        let titled = try world.backend.call("create-chatroom", token: world.person.token, body: ["title": "Given"])
        _ = try world.ask("Hello", in: titled.json["id"].text)
        // One that is given while the model thinks of another too.
        let room = try untitledRoom(world)
        _ = try world.ask("[sandbox:slow ms=700]", in: room)
        try eventually("the chore") { try world.backend.gemini().requests().count == 3 }
        try world.database.execute("update chatrooms set title = 'Mine' where id = \(room)::uuid")
        try eventually("the end of the chore") { try world.jobs() == 0 }
        #expect(try title(world, room) == "Mine")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `One that fails is tried again, and given up in the end without a trace`() throws {
        let world = try World(["TITLES": "on"])
        let worker = try world.backend.worker()
        let (passing, lasting) = (try untitledRoom(world), try untitledRoom(world))
        // The chore shows the model the same directive.
        _ = try world.ask("[sandbox:error code=503 times=1]", in: passing)
        #expect(try world.ask("[sandbox:max-tokens][sandbox:long bytes=40]", in: lasting)["status"] == "done")
        try eventually("a title") { try title(world, passing) != nil }
        try eventually("the end of all chores") { try world.jobs() == 0 }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `When older messages fall out of the budget, a summary stands in for them`() throws {
        let world = try World(["CONTEXT_TOKENS": "500"])
        let worker = try world.backend.worker()
        func text(_ number: Int) -> String { "Number \(number) " + String(repeating: "word ", count: 40) }
        var number = 0
        try eventually("a summary") {
            number += 1
            #expect(try world.ask(text(number))["status"] == "done")
            // A summary that is late is missed by the replies that are made before it.
            try eventually("the end of all chores") { try world.jobs() == 0 }
            return try world.database.row(Int.self, "select count(*) from summaries") ?? 0 > 0
        }
        let reply = try world.ask("And now?")
        // The reply knows what it was given.
        struct Given: Decodable {
            let content: String
            let upto: String
        }
        let given = try #require(
            try world.database.row(
                Given.self,
                """
                select s.content, s.upto from messages m join summaries s on s.id = (m.provenance ->> 'summary')::uuid
                where m.id = \(reply["id"].text)::uuid
                """))
        let requests = try world.backend.gemini().requests()
        let last = try #require(requests.last { $0.turns.last == "user: And now?" })
        let instruction = last.body["systemInstruction"]["parts"][0]["text"].text ?? ""
        #expect(instruction.contains(given.content))
        #expect(last.turns.contains { $0.hasPrefix("user: Number 1 ") } == false)
        #expect(last.turns.first?.hasPrefix("user: ") == true && last.turns.count < 2 * number)
        let summing = try #require(
            requests.first { $0.body["systemInstruction"]["parts"][0]["text"].text?.hasPrefix("Sum up") == true })
        #expect(summing.turns.count == 1 && summing.turns[0].contains("User: Number 1 "))
        let covered = try world.database.row(
            Int.self,
            """
            select count(*) from messages where id > \(given.upto)::uuid and id < \(reply["id"].text)::uuid and status = 'done'
            """)
        #expect(covered == last.turns.count)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A long conversation goes on through summary after summary, within its budget`() throws {
        let world = try World(["CONTEXT_TOKENS": "400"])
        let worker = try world.backend.worker()
        for number in 1...24 {
            #expect(try world.ask("\(number) " + String(repeating: "word ", count: 50))["status"] == "done")
        }
        try eventually("the last chore") { try world.jobs() == 0 }
        let count = try world.database.row(Int.self, "select count(*) from summaries") ?? 0
        #expect(count >= 2)
        // Each goes on from the one before it.
        let summing = try world.backend.gemini().requests().filter {
            $0.body["systemInstruction"]["parts"][0]["text"].text?.hasPrefix("Sum up") == true
        }
        #expect(summing.dropFirst().allSatisfy { $0.turns[0].contains("A summary of what came before:") })
        withExtendedLifetime(worker) {}
    }
}
