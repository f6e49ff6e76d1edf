import Common
import Foundation
import TestSupport
import Testing

/// What has come of a reply stays, however it ends.
@Suite(.threads)
struct PartialTextTests {
    private static let said = "One, two, three, four, five and six."
    private let half = "[sandbox:truncate][sandbox:chunks n=6 ms=0][sandbox:say] \(said)"

    /// Whether it is some of the text, from its beginning.
    private func isPartial(_ reply: JSONValue) -> Bool {
        let content = reply["content"].text ?? ""
        return !content.isEmpty && content != Self.said && Self.said.hasPrefix(content)
    }

    @Test
    func `A reply that fails keeps its text`() throws {
        let world = try World(["REPLY_ATTEMPTS": "2"])
        let worker = try world.backend.worker()
        let reply = try world.ask(half)
        #expect(reply["status"] == "failed" && reply["error"]["code"] == "upstream_busy")
        #expect(isPartial(reply), "\(reply["content"])")
        // It is no part of what was said, and costs nothing.
        #expect(try world.ask("And now?")["status"] == "done")
        let turns = try world.backend.gemini().requests().last?.turns ?? []
        #expect(turns.allSatisfy { $0.hasPrefix("user: ") })
        withExtendedLifetime(worker) {}
    }

    @Test
    func `What a filter withdraws is not kept`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        #expect(try world.ask("[sandbox:safety]")["content"] == "")
        let recited = try world.ask("[sandbox:recitation][sandbox:say] \(Self.said)")
        #expect(recited["error"]["code"] == "recitation_blocked" && isPartial(recited))
        withExtendedLifetime(worker) {}
    }

    @Test
    func `The longest text of all attempts is kept, whichever worker had it, and shown once`() throws {
        let world = try World(["REPLY_ATTEMPTS": "2", "REPLY_TIMEOUT_SECONDS": "60"])
        let first = try world.backend.worker()
        let id = try world.backend.post(half, world.room, world.person)
        let connection = try FastCGI(world.backend.endpoint("stream-reply").listener.path)
        connection.sendRequest(Backend.parameters(room: world.room, message: id, token: world.person.token))
        let stream = EventStream(connection)
        try eventually("the second attempt's turn") {
            try world.database.row(Int.self, "select count(*) from jobs where state = 'waiting'") == 1
        }
        first.kill()
        try first.wait()
        #expect(try world.database.row(Int.self, "select count(*) from deltas") == 0)
        // The second one gets no word out of Gemini.
        let second = try world.backend.worker(seconds: 600, ["GEMINI_BASE_URL": "http://127.0.0.1:1"])
        let reply = try world.backend.reply(id, world.room, world.person)
        #expect(reply["status"] == "failed" && isPartial(reply), "\(reply)")
        var text = ""
        var shown: [String] = []
        let events = try stream.rest()
        for event in events {
            if event.name == "reset" { text = "" }
            if event.name == "delta" { text += event.text ?? "" }
            if !text.isEmpty { shown.append(text) }
        }
        #expect(events.last?.name == "failed" && text == reply["content"].text)
        let resets = events.filter { $0.name == "reset" }.count
        #expect(resets <= 1)
        withExtendedLifetime(second) {}
    }

    @Test
    func `The text of a worker that died is kept too`() throws {
        let world = try World(["REPLY_ATTEMPTS": "2", "LEASE_SECONDS": "2"])
        let first = try world.backend.worker()
        let id = try world.backend.post(
            "[sandbox:chunks n=6 ms=1500][sandbox:say] \(Self.said)", world.room, world.person)
        try eventually("some text") { try world.database.row(Int.self, "select count(*) from deltas") == 2 }
        first.kill()
        try first.wait()
        let second = try world.backend.worker(seconds: 600, ["GEMINI_BASE_URL": "http://127.0.0.1:1"])
        let reply = try world.backend.reply(id, world.room, world.person)
        #expect(reply["status"] == "failed" && isPartial(reply), "\(reply)")
        #expect(try world.database.row(Int.self, "select count(*) from deltas") == 0)
        withExtendedLifetime(second) {}
    }

    @Test
    func `A reply that is cancelled between two attempts keeps its text`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let id = try world.backend.post(half, world.room, world.person)
        // No attempt follows while this looks.
        try eventually("a wait") {
            try world.database.execute(
                "update jobs set run_at = now() + interval '1 hour' where state = 'waiting'") == 1
        }
        let answer = try world.backend.call(
            "cancel-reply", room: world.room, message: id, token: world.person.token)
        #expect(answer.json["status"] == "cancelled" && isPartial(answer.json), "\(answer.text)")
        withExtendedLifetime(worker) {}
    }
}
