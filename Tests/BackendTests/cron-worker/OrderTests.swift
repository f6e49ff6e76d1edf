import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct OrderTests {
    @Test
    func `The messages of a room are answered one at a time, in their order, each knowing the answer before it`() throws
    {
        let world = try World()
        let texts = (1...6).map { "[sandbox:slow ms=60][sandbox:say] answer \($0)" }
        let ids = try texts.map { try world.backend.post($0, world.room, world.person) }
        let workers = try (0..<2).map { _ in try world.backend.worker() }
        for id in ids { #expect(try world.backend.reply(id, world.room, world.person)["status"] == "done") }
        let requests = try world.backend.gemini().requests()
        #expect(requests.map { $0.turns.last } == texts.map { "user: \($0)" })
        for (index, request) in requests.enumerated() {
            let expected = (0..<index).flatMap { ["user: \(texts[$0])", "model: answer \($0 + 1)"] }
            #expect(request.turns.dropLast() == expected[...])
        }
        withExtendedLifetime(workers) {}
    }

    @Test
    func `While a reply waits for its next try, the room's next message waits too`() throws {
        let world = try World()
        let ids = try ["[sandbox:error code=429 retry=1.2s times=1][sandbox:say] first", "second"].map {
            try world.backend.post($0, world.room, world.person)
        }
        let workers = try (0..<2).map { _ in try world.backend.worker() }
        for id in ids { #expect(try world.backend.reply(id, world.room, world.person)["status"] == "done") }
        let last = try world.backend.gemini().requests().map { $0.turns.count }
        #expect(last == [1, 1, 3])
        withExtendedLifetime(workers) {}
    }

    @Test
    func `Rooms are answered side by side`() throws {
        let world = try World()
        let messages = (1...40).map { "[sandbox:slow ms=1500] \($0)" }
        let rooms = try messages.map { _ in try world.backend.room(world.person) }
        let ids = try zip(messages, rooms).map { try world.backend.post($0, $1, world.person) }
        let worker = try world.backend.worker()
        for (id, room) in zip(ids, rooms) {
            #expect(try world.backend.reply(id, room, world.person)["status"] == "done")
        }
        let moments = try world.backend.gemini().requests().map(\.time).sorted()
        try #require(moments.count == 40)
        // One after the other there would be a minute between the first and the last.
        #expect(moments[39] - moments[0] < 30)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Several workers at once never make two replies of one message`() throws {
        let world = try World()
        let workers = try (0..<4).map { _ in try world.backend.worker() }
        let rooms = try (0..<20).map { _ in try world.backend.room(world.person) }
        let posts = try (0..<80).map { number in
            let room = rooms[number % rooms.count]
            return (try world.backend.post("number \(number)", room, world.person), room)
        }
        for (id, room) in posts { #expect(try world.backend.reply(id, room, world.person)["status"] == "done") }
        let asked = try world.backend.gemini().requests().compactMap { $0.turns.last }
        #expect(asked.count == 80 && Set(asked).count == 80)
        #expect(try world.jobs() == 0)
        withExtendedLifetime(workers) {}
    }
}
