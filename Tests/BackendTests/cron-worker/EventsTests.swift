import Common
import TestSupport
import Testing

/// What comes of Gemini's events, readable or not.
@Suite(.threads)
struct EventsTests {
    private let said = "One, two, three, four, five and six."

    @Test
    func `What cannot be read of a text is U+FFFD, and all the rest is there`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        for (directive, marks) in [("surrogate", "\u{FFFD}"), ("bytes", "\u{FFFD}\u{FFFD}")] {
            let reply = try world.ask("[sandbox:\(directive)][sandbox:chunks n=2 ms=0][sandbox:say] \(said)")
            let content = reply["content"].text ?? ""
            #expect(reply["status"] == "done" && content.contains(marks), "\(directive): \(content)")
            let rest = content.filter { $0 != "\u{FFFD}" }
            #expect(rest == said)
        }
        #expect(try world.backend.gemini().requests().count == 2)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `An event that cannot be read makes the attempt fail`() throws {
        let world = try World(["REPLY_ATTEMPTS": "2"])
        let worker = try world.backend.worker()
        let messages = ["[sandbox:cut-event times=1]", "[sandbox:cut-event]"].map {
            "\($0)[sandbox:chunks n=4 ms=0][sandbox:say] \(said)"
        }
        let replies = try world.askAll(messages)
        #expect(replies[0]["status"] == "done" && replies[0]["content"].text == said)
        #expect(replies[1]["status"] == "failed" && replies[1]["error"]["code"] == "answer_malformed")
        #expect(replies[1]["error"]["retryable"] == true)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Events are read as the standard says, however they are cut on the way`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let odd = "\(said) naïve 😀 “\u{2028}” data: x\n\n: no comment\nevent: none"
        for fragment in ["", "[sandbox:fragment bytes=1]", "[sandbox:fragment bytes=7]"] {
            let reply = try world.ask("[sandbox:framing]\(fragment)[sandbox:chunks n=3 ms=0][sandbox:say] \(odd)")
            #expect(reply["status"] == "done" && reply["content"].text == odd, "\(fragment) \(reply["content"])")
        }
        #expect(try world.backend.gemini().requests().count == 3)
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: ["data", "lines", "bare"])
    func `An error in the midst of a stream is heard, and its delay kept`(shape: String) throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask(
            "[sandbox:stream-error shape=\(shape) code=429 retry=4s times=1][sandbox:chunks n=4 ms=0][sandbox:say] \(said)"
        )
        #expect(reply["status"] == "done" && reply["content"].text == said)
        let moments = try world.backend.gemini().requests().map(\.time)
        try #require(moments.count == 2)
        #expect(moments[1] - moments[0] >= 3.99)
        withExtendedLifetime(worker) {}
    }
}
