import Common
import Foundation
import TestSupport
import Testing

/// Numbers out of Gemini's answers that no honest one has.
@Suite(.threads)
struct HostileAnswersTests {
    @Test(arguments: [Int.max, 3_000_000_000, -1, Int.min])
    func `A count of tokens that cannot be true is none`(count: Int) throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask("[sandbox:tokens count=\(count)][sandbox:say] Hello")
        #expect(reply["status"] == "done" && reply["content"] == "Hello")
        #expect((0...100_000_000).contains(reply["usage"]["output_tokens"].number ?? -1))
        #expect(try world.ask("And then?")["status"] == "done")
        #expect(try world.backend.gemini().requests().count == 2)
        #expect(worker.isRunning)
    }

    @Test(arguments: ["99999999999999s", "864000s", String(repeating: "9", count: 400) + "s", "-5s", "1.2.3s", "soon"])
    func `A delay that nobody would wait for stops nothing and parks nobody`(delay: String) throws {
        let world = try World(["REPLY_ATTEMPTS": "2", "REPLY_PATIENCE_SECONDS": "10"])
        let worker = try world.backend.worker()
        let replies = try world.askAll(
            [503, 500, 504].map { "[sandbox:error code=\($0) retry=\(delay)]" }
                + ["[sandbox:stream-error code=503 retry=\(delay)]"])
        for reply in replies {
            #expect(reply["status"] == "failed" && ["upstream_busy", "timeout"].contains(reply["error"]["code"].text))
        }
        #expect(try world.ask("Hello")["status"] == "done")
        // Held against the only key.
        let refused = try world.ask("[sandbox:error code=429 retry=\(delay)]")
        #expect(["upstream_busy", "upstream_quota"].contains(refused["error"]["code"].text))
        let longest = try world.database.row(
            Bool.self, "select coalesce(max(until) < now() + interval '61 minutes', true) from upstream_holds")
        #expect(longest == true && worker.isRunning)
    }

    @Test
    func `What was held back for a hundred years does not stop a worker`() throws {
        let world = try World()
        try world.database.execute(
            "insert into upstream_holds (key, model, until, reason) values ('of another', '*', '2200-01-01', 'upstream_busy')"
        )
        let worker = try world.backend.worker()
        #expect(try world.ask("Hello")["status"] == "done")
        withExtendedLifetime(worker) {}
    }
}
