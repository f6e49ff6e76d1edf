import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct FailuresTests {
    @Test
    func `What another call would not change fails at once, with a reason for the user`() throws {
        // Each of the last four is held against the only key or model there is.
        let replies = try check([
            ("[sandbox:blocked]", "prompt_blocked"), ("[sandbox:safety]", "safety_blocked"),
            ("[sandbox:recitation]", "recitation_blocked"), ("[sandbox:empty]", "too_long"),
            ("[sandbox:error code=400]", "request_refused"),
        ])
        // The answer that was paid for without a word has its tokens stored.
        #expect(replies[3]["usage"]["output_tokens"].number ?? 0 >= 1_024)
        try check([("[sandbox:quota-daily]", "upstream_quota")])
        try check([("[sandbox:bad-key]", "internal")])
        try check([("[sandbox:error code=403]", "internal")])
        try check([("[sandbox:error code=404]", "internal")])
    }

    @discardableResult
    private func check(_ cases: [(String, String)]) throws -> [JSONValue] {
        let world = try World()
        let worker = try world.backend.worker()
        let replies = try world.askAll(cases.map(\.0))
        let requests = try world.backend.gemini().requests()
        for ((message, code), reply) in zip(cases, replies) {
            #expect(reply["status"] == "failed", "\(message)")
            #expect(reply["error"]["code"].text == code, "\(message)")
            #expect(reply["error"]["detail"].text?.isEmpty == false, "\(message)")
            // Another call may not repeat a published text.
            let isFinal =
                code != "recitation_blocked" && ["quota", "blocked", "refused"].contains { code.contains($0) }
            #expect(!isFinal || reply["error"]["retryable"] == false)
            #expect(reply["completed_at"].text != nil)
            #expect(requests.filter { $0.turns.last == "user: \(message)" }.count == 1, "\(message)")
            // Nothing of what Google said, such as the state of the operator's key, is for the user.
            #expect(reply["error"]["detail"].text?.lowercased().contains("key") == false)
        }
        #expect(try world.jobs() == 0)
        withExtendedLifetime(worker) {}
        return replies
    }

    @Test
    func `Each group of reasons to stop has a code of its own, and the log names the reason`() throws {
        let world = try World(["REPLY_ATTEMPTS": "2"])
        let worker = try world.backend.worker()
        // Those that another call may change are called for twice.
        let cases: [(reason: String, code: String, calls: Int)] = [
            ("BLOCKLIST", "safety_blocked", 1), ("PROHIBITED_CONTENT", "safety_blocked", 1),
            ("SPII", "safety_blocked", 1),
            ("IMAGE_RECITATION", "recitation_blocked", 1), ("LANGUAGE", "language_unsupported", 1),
            ("MALFORMED_RESPONSE", "answer_malformed", 2), ("UNEXPECTED_TOOL_CALL", "answer_malformed", 2),
        ]
        let messages = cases.map { "[sandbox:finish reason=\($0.reason)]" } + ["[sandbox:blank]"]
        let replies = try world.askAll(messages)
        let asked = try world.backend.gemini().requests().compactMap(\.turns.last)
        for (message, (reply, expected)) in zip(messages, zip(replies, cases)) {
            #expect(reply["status"] == "failed" && reply["error"]["code"].text == expected.code, "\(message)")
            let calls = asked.filter { $0 == "user: \(message)" }.count
            #expect(calls == expected.calls, "\(message)")
            #expect(worker.error.contains("finishReason \(expected.reason)\""), "\(message)")
        }
        #expect(Set(replies.map { $0["error"]["detail"].text }).count == 5)
        // White space is no answer.
        #expect(replies.last?["error"]["code"] == "answer_empty" && replies.last?["content"] == "")
    }

    @Test
    func `An answer that was cut off is not whole, though each of its chunks says that it is`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let said = "One, two, three, four, five and six."
        let messages = ["truncate", "reset"].map {
            "[sandbox:\($0) times=1][sandbox:stop-each][sandbox:chunks n=6 ms=0][sandbox:say] \(said)"
        }
        for reply in try world.askAll(messages) { #expect(reply["status"] == "done" && reply["content"].text == said) }
        #expect(try world.backend.gemini().requests().count == 4)
        #expect(try world.ask("[sandbox:stop-each][sandbox:say] \(said)")["content"].text == said)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Half an answer that reached its limit is an answer`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask("[sandbox:max-tokens] A long story, please.")
        #expect(reply["status"] == "done" && reply["content"].text?.isEmpty == false)
        let reason = try world.database.row(String.self, "select finish_reason from messages where role = 'model'")
        #expect(reason == "MAX_TOKENS")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `What may pass is tried again, and nothing of the first try is left`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let messages = [
            "[sandbox:error code=500 times=1]", "[sandbox:error code=502 times=1]", "[sandbox:error code=504 times=1]",
            "[sandbox:error code=429 hint=none times=1]", "[sandbox:drop times=1]", "[sandbox:garbage times=1]",
            "[sandbox:truncate times=1]", "[sandbox:truncate end=clean times=1]", "[sandbox:reset times=1]",
            "[sandbox:stream-error shape=data code=503 times=1]", "[sandbox:stream-error shape=bare code=503 times=1]",
            "[sandbox:stream-error shape=bare code=500 times=1][sandbox:fragment bytes=5]",
        ].map { "\($0)[sandbox:chunks n=6 ms=0][sandbox:say] One, two, three, four, five and six." }
        let replies = try world.askAll(messages)
        let requests = try world.backend.gemini().requests()
        for (message, reply) in zip(messages, replies) {
            #expect(reply["status"] == "done", "\(message) \(reply["error"])")
            let said = reply["content"].text ?? ""
            #expect(
                said.isEmpty == false && requests.filter { $0.turns.last == "user: \(message)" }.count == 2,
                "\(message)")
            #expect(said == "One, two, three, four, five and six." || said.contains("sandbox"), "\(message) \(said)")
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Overloaded twice and then not, a reply is had, after growing pauses`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask("[sandbox:error code=503 times=2]")
        #expect(reply["status"] == "done")
        let times = try world.backend.gemini().requests().map(\.time)
        #expect(times.count == 3)
        // Half a second to one and a half, then one to three
        #expect(times[1] - times[0] >= 0.45)
        #expect(times[2] - times[1] >= 0.95)
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: [("retry=2.5s", 2.5), ("retry=1800ms", 1.8), ("retry=0.9s", 0.9), ("times=1", 1.5)])
    func `The time that Gemini asks for is waited, no less`(hint: String, seconds: Double) throws {
        let world = try World()
        let worker = try world.backend.worker()
        let times = hint.hasPrefix("times") ? "" : " times=1"
        let least = try quickest(below: seconds + 5) {
            let before = try world.backend.gemini().requests().count
            let room = try world.backend.room(world.person)
            let reply = try world.ask("[sandbox:error code=429 \(hint)\(times)] \(before)", in: room)
            #expect(reply["status"] == "done")
            let moments = try world.backend.gemini().requests().dropFirst(before).map(\.time)
            try #require(moments.count == 2)
            #expect(moments[1] - moments[0] >= seconds - 0.01)
            return moments[1] - moments[0]
        }
        // And not much more, whatever the backoff would have been.
        #expect(least < seconds + 5)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `When no try is left the user is told what it was`() throws {
        let all = [
            ("upstream_busy", "120", ["[sandbox:error code=503]", "[sandbox:drop]", "[sandbox:truncate]"]),
            ("timeout", "1", ["[sandbox:error code=504]", "[sandbox:hang]", "[sandbox:hang after=2]"]),
        ]
        for (code, timeout, messages) in all {
            let world = try World(["REPLY_ATTEMPTS": "1", "REPLY_TIMEOUT_SECONDS": timeout])
            let worker = try world.backend.worker()
            for (message, reply) in zip(messages, try world.askAll(messages)) {
                #expect(reply["status"] == "failed", "\(message)")
                #expect(reply["error"]["code"].text == code, "\(message)")
                #expect(reply["error"]["retryable"] == true, "\(message)")
            }
            // A connection that was kept and is closed without a word is another matter: libcurl asks again by itself.
            let asked = try world.backend.gemini().requests().compactMap(\.turns.last).filter { !$0.contains("drop") }
            #expect(asked.count == messages.count { !$0.contains("drop") } && Set(asked).count == asked.count)
            withExtendedLifetime(worker) {}
        }
    }

    @Test
    func `As many tries are made as are allowed`() throws {
        let world = try World(["REPLY_ATTEMPTS": "3"])
        let worker = try world.backend.worker()
        #expect(try world.ask("[sandbox:error code=503]")["error"]["code"] == "upstream_busy")
        #expect(try world.backend.gemini().requests().count == 3)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Where nobody listens it is busy, and the worker goes on`() throws {
        let world = try World(["GEMINI_BASE_URL": "http://127.0.0.1:1", "REPLY_ATTEMPTS": "1"])
        let worker = try world.backend.worker()
        for _ in 0..<2 { #expect(try world.ask("Hello")["error"]["code"] == "upstream_busy") }
        #expect(worker.isRunning)
    }

    @Test
    func `A message that kills whoever takes it is given up in the end`() throws {
        let world = try World()
        let reply = try world.backend.post("Hello", world.room, world.person)
        try world.database.execute("update jobs set attempts = 6")
        let worker = try world.backend.worker()
        #expect(try world.backend.reply(reply, world.room, world.person)["error"]["code"] == "internal")
        #expect(try world.backend.gemini().requests().isEmpty)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A failed reply does not hold up the next of its room`() throws {
        let world = try World()
        let ids = try ["[sandbox:blocked]", "Hello"].map { try world.backend.post($0, world.room, world.person) }
        let worker = try world.backend.worker()
        let replies = try ids.map { try world.backend.reply($0, world.room, world.person) }
        #expect(replies.map { $0["status"].text } == ["failed", "done"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A room that is deleted meanwhile leaves nothing to do`() throws {
        let world = try World()
        _ = try world.backend.post("[sandbox:slow ms=300]", world.room, world.person)
        _ = try world.backend.post("Hello", world.room, world.person)
        let worker = try world.backend.worker()
        try eventually("the first call") { try !world.backend.gemini().requests().isEmpty }
        try world.database.execute("delete from chatrooms")
        try eventually("an empty queue") { try world.jobs() == 0 }
        let other = try world.backend.room(world.person)
        #expect(try world.ask("Hello", in: other)["status"] == "done")
        #expect(worker.isRunning)
    }
}
