import Common
import Foundation
import TestSupport
import Testing

/// Replies that take long, with shorter limits than those of the settings. `bench/long-replies` shows it with these.
@Suite(.threads)
struct LongRepliesTests {
    @Test
    func `A reply may take long while text comes, beyond its worker's time`() throws {
        let world = try World(["REPLY_SILENCE_SECONDS": "3", "LEASE_SECONDS": "2"])
        let worker = try world.backend.worker(seconds: 2)
        let said = (1...30).map(String.init).joined(separator: ", ")
        let reply = try world.ask("[sandbox:chunks n=10 ms=1000][sandbox:say] \(said)")
        #expect(reply["status"] == "done" && reply["content"].text == said)
        #expect(try world.backend.gemini().requests().count == 1)
        #expect(try worker.wait() == .code(0))
    }

    @Test
    func `Silence ends a call after the time that is set, before the first word and after it`() throws {
        let world = try World(["REPLY_SILENCE_SECONDS": "2", "REPLY_ATTEMPTS": "1"])
        let worker = try world.backend.worker()
        let silent = ["[sandbox:hang ms=60000]", "[sandbox:chunks n=6 ms=0][sandbox:hang ms=60000 after=2]"]
        let began = Date()
        let replies = try world.askAll(silent + ["[sandbox:slow ms=500] Hello"])
        for reply in replies.prefix(2) {
            #expect(reply["status"] == "failed" && reply["error"]["code"] == "timeout", "\(reply)")
        }
        #expect(replies[1]["content"].text?.isEmpty == false && replies[2]["status"] == "done")
        #expect(Date().timeIntervalSince(began) < 50)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A model that still talks when all the time is up is not asked again, and what it said is kept`() throws {
        let world = try World(["REPLY_TIMEOUT_SECONDS": "4", "REPLY_SILENCE_SECONDS": "3"])
        let worker = try world.backend.worker()
        let message = "[sandbox:chunks n=400 ms=50][sandbox:long bytes=4000]"
        let least = try quickest(below: 1) {
            let before = try world.backend.gemini().requests().count
            let reply = try world.ask(message, in: try world.backend.room(world.person))
            #expect(reply["status"] == "failed" && reply["error"]["code"] == "timeout")
            #expect(reply["content"].text?.isEmpty == false)
            // A machine that stands still makes it look silent, which is worth another try.
            return Double(try world.backend.gemini().requests().count - before - 1)
        }
        #expect(least == 0)
        withExtendedLifetime(worker) {}
    }
}
