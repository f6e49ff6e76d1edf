import Common
import Foundation
import TestSupport
import Testing

/// Gemini refuses calls and asks for the next one at once.
@Suite(.threads)
struct RefusalsTests {
    @Test(arguments: ["retry=0s", "retry=8.386472ms"])
    func `Forty messages that are always refused cost no more than 1.5 calls a second, and fail in time`(
        hint: String
    ) throws {
        let patience = 20.0
        let world = try World(["REPLY_PATIENCE_SECONDS": String(Int(patience))])
        let posts = try (0..<40).map { _ in
            let room = try world.backend.room(world.person)
            return (try world.backend.post("[sandbox:error code=429 \(hint)]", room, world.person), room)
        }
        let began = Date()
        let workers = try (0..<2).map { _ in try world.backend.worker() }
        for (id, room) in posts {
            let reply = try world.backend.reply(id, room, world.person)
            #expect(reply["status"] == "failed" && reply["error"]["code"] == "upstream_busy")
        }
        let took = Date().timeIntervalSince(began)
        // The worker takes its time where others run.
        #expect(took < patience + 20)
        let calls = try world.backend.gemini().requests().count
        #expect(calls >= 3 && Double(calls) <= took * 1.5, "\(calls) calls in \(took) s")
        let lines = workers.map { $0.error.components(separatedBy: "\"held back\"").count - 1 }
        #expect(lines == [1, 1] || lines.sorted() == [0, 1])
        for worker in workers { #expect(worker.isRunning) }
    }

    @Test
    func `The pauses grow while calls are refused, and one call tells all that the way is open`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let message = "[sandbox:error code=429 retry=0s times=3]"
        #expect(try world.ask(message)["status"] == "done")
        let moments = try world.backend.gemini().requests().map(\.time)
        try #require(moments.count == 4)
        for (number, least) in [1.0, 2, 4].enumerated() {
            #expect(moments[number + 1] - moments[number] >= least - 0.01)
        }
        #expect(try world.database.row(Int.self, "select count(*) from upstream_holds") == 0)
        // The next one waits no longer.
        let quick = try quickest(below: 3) { try seconds { _ = try world.ask("Hello") } }
        #expect(quick < 3)
        #expect(worker.error.components(separatedBy: "\"held back\"").count == 2)
    }

    @Test
    func `An overloaded model that asks for a call at once is not called at once`() throws {
        let world = try World(["REPLY_ATTEMPTS": "3"])
        let worker = try world.backend.worker()
        #expect(try world.ask("[sandbox:error code=503 retry=0s]")["error"]["code"] == "upstream_busy")
        let moments = try world.backend.gemini().requests().map(\.time)
        try #require(moments.count == 3)
        #expect(moments[1] - moments[0] >= 0.45 && moments[2] - moments[1] >= 0.95)
        withExtendedLifetime(worker) {}
    }
}
