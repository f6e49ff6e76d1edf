import Common
import Foundation
import TestSupport
import Testing

/// Keys, models, and what Gemini holds back.
@Suite(.threads)
struct RoutesTests {
    /// The end of the key: the sandbox keeps no more of it.
    private func key(_ request: Gemini.Request) -> String? { request.headers["x-goog-api-key"].text }

    @Test
    func `A key that has to wait is left alone, and another takes over at once`() throws {
        let world = try World(["GEMINI_API_KEYS": "first,second"])
        let worker = try world.backend.worker()
        let began = Date()
        #expect(try world.ask("[sandbox:error code=429 retry=60s times=1]")["status"] == "done")
        #expect(Date().timeIntervalSince(began) < 50)
        for _ in 0..<3 { #expect(try world.ask("Hello")["status"] == "done") }
        let keys = try world.backend.gemini().requests().map(key)
        #expect(keys.count == 5 && Set(keys.prefix(2)) == ["…irst", "…cond"])
        #expect(Set(keys.dropFirst()).count == 1)
        let attempts = try world.database.row(Int.self, "select max((provenance ->> 'attempts')::int) from messages")
        #expect(attempts == 1)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Keys take turns`() throws {
        let world = try World(["GEMINI_API_KEYS": "first,second,third"])
        let worker = try world.backend.worker()
        for _ in 0..<6 { _ = try world.ask("Hello") }
        let keys = try world.backend.gemini().requests().compactMap(key)
        #expect(Dictionary(grouping: keys) { $0 }.mapValues(\.count) == ["…irst": 2, "…cond": 2, "…hird": 2])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `What one worker was told, all know, the next one too`() throws {
        // None hears of it by itself: between two looks at what is held back are 20 s.
        let world = try World(["LEASE_SECONDS": "60"])
        let workers = try (0..<2).map { _ in try world.backend.worker() }
        let first = try world.backend.post("[sandbox:error code=429 retry=10s times=1]", world.room, world.person)
        try eventually("both to know") {
            workers.count { $0.error.contains("\"held back\"") } == 1
                && workers.count { $0.error.contains("\"heard what is held back\"") } == 1
        }
        let third = try world.backend.worker()
        let rooms = try (0..<8).map { _ in try world.backend.room(world.person) }
        let others = try rooms.map { try world.backend.post("Hello", $0, world.person) }
        for (id, room) in zip(others, rooms) {
            #expect(try world.backend.reply(id, room, world.person)["status"] == "done")
        }
        #expect(try world.backend.reply(first, world.room, world.person)["status"] == "done")
        let moments = try world.backend.gemini().requests().map(\.time)
        #expect(moments.count == 10 && moments[1] - moments[0] >= 9.9, "\(moments)")
        withExtendedLifetime((workers, third)) {}
    }

    @Test
    func `Waiting for what is held back uses up no attempt`() throws {
        let world = try World(["REPLY_ATTEMPTS": "1"])
        let worker = try world.backend.worker()
        #expect(try world.ask("[sandbox:error code=429 retry=0.3s times=3]")["status"] == "done")
        #expect(try world.backend.gemini().requests().count == 4)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `In the end patience is over`() throws {
        let world = try World(["REPLY_PATIENCE_SECONDS": "5"])
        let worker = try world.backend.worker()
        let reply = try world.ask("[sandbox:error code=429 retry=0.5s]")
        #expect(reply["status"] == "failed" && reply["error"]["code"] == "upstream_busy")
        let count = try world.backend.gemini().requests().count
        #expect((2...11).contains(count))
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: ["error code=429 retry=60s", "error code=503", "error code=404", "quota-daily"])
    func `A fallback model answers where the room's cannot`(directive: String) throws {
        let world = try World(["GEMINI_FALLBACK_MODELS": "gemini-3.5-flash-lite"])
        let worker = try world.backend.worker()
        #expect(try world.ask("[sandbox:\(directive) times=1]")["status"] == "done")
        let paths = try world.backend.gemini().requests().map(\.path)
        #expect(paths.count == 2)
        #expect(paths[0].contains("gemini-3.8-flash:") && paths[1].contains("gemini-3.5-flash-lite:"))
        withExtendedLifetime(worker) {}
    }

    @Test
    func `All workers together make no more calls than the keys may carry`() throws {
        let world = try World(["CALLS_PER_KEY": "2", "GEMINI_API_KEYS": "first,second"])
        let rooms = try (0..<16).map { _ in try world.backend.room(world.person) }
        let ids = try rooms.map { try world.backend.post("[sandbox:slow ms=1000]", $0, world.person) }
        let workers = try (0..<3).map { _ in try world.backend.worker() }
        var most = 0
        var left = ids.count
        while left > 0 {
            most = max(
                most, try world.database.row(Int.self, "select count(*) from jobs where state = 'running'") ?? 0)
            left = try world.jobs() ?? 0
        }
        #expect(most == 4)
        for (id, room) in zip(ids, rooms) {
            #expect(try world.backend.reply(id, room, world.person)["status"] == "done")
        }
        withExtendedLifetime(workers) {}
    }

    @Test
    func `Who queues a hundred messages does not delay another's first`() throws {
        let world = try World(["REPLIES_IN_FLIGHT": "4"])
        let rooms = try (0..<100).map { _ in try world.backend.room(world.person) }
        for room in rooms { _ = try world.backend.post("[sandbox:slow ms=1000]", room, world.person) }
        let other = try world.backend.signIn()
        let room = try world.backend.room(other)
        let worker = try world.backend.worker()
        try eventually("some replies") {
            try world.database.row(Int.self, "select count(*) from messages where status = 'done' and role = 'model'")
                ?? 0
                >= 4
        }
        let id = try world.backend.post("Hello", room, other)
        #expect(try world.backend.reply(id, room, other)["status"] == "done")
        let left = try world.jobs() ?? 0
        #expect(left > 50, "\(left) of a hundred are left")
        withExtendedLifetime(worker) {}
    }
}
