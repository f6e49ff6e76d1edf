import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct RepliesTests {
    @Test
    func `A message gets its reply, with the model, the tokens and the reason why it ended`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask("Hello there")
        #expect(reply["status"] == "done")
        #expect(reply["error"] == .null)
        #expect(reply["content"].text?.contains("sandbox") == true)
        #expect(reply["content"].text?.contains("Hello there") == true)
        #expect(reply["model"] == "gemini-3.8-flash")
        #expect(reply["completed_at"].text != nil)
        let usage = reply["usage"]
        let (prompt, output) = (usage["prompt_tokens"].number ?? 0, usage["output_tokens"].number ?? 0)
        #expect(prompt > 0 && output > 0 && usage["total_tokens"].number == prompt + output)
        let reason = try world.database.row(
            String.self, "select finish_reason from messages where role = 'model'")
        #expect(reason == "STOP")
        #expect(try world.jobs() == 0)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `The conversation so far and the room's instruction and model reach Gemini`() throws {
        let world = try World()
        let room = try world.backend.room(
            world.person, ["system_instruction": "Answer in verse.", "model": "gemini-3.5-flash-lite"])
        let worker = try world.backend.worker()
        let first = try world.ask("[sandbox:say] A first answer — “quoted” 😀", in: room)
        #expect(first["content"] == "A first answer — “quoted” 😀")
        #expect(try world.ask("[sandbox:error code=400]", in: room)["status"] == "failed")
        #expect(try world.ask("And then?", in: room)["status"] == "done")
        let requests = try world.backend.gemini().requests()
        #expect(
            requests.map(\.turns) == [
                ["user: [sandbox:say] A first answer — “quoted” 😀"],
                [
                    "user: [sandbox:say] A first answer — “quoted” 😀", "model: A first answer — “quoted” 😀",
                    "user: [sandbox:error code=400]",
                ],
                [
                    "user: [sandbox:say] A first answer — “quoted” 😀", "model: A first answer — “quoted” 😀",
                    "user: And then?",
                ],
            ])
        for request in requests {
            #expect(request.path == "/v1beta/models/gemini-3.5-flash-lite:streamGenerateContent?alt=sse")
            #expect(request.body["systemInstruction"]["parts"][0]["text"] == "Answer in verse.")
            #expect(request.headers["x-goog-api-key"] == "…-key")
            #expect(request.headers["x-server-timeout"].text.flatMap { Int($0) } ?? 0 > 0)
            // Not for current models
            #expect(request.body["generationConfig"]["temperature"] == .missing)
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Without an instruction none is sent`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        _ = try world.ask("Hello")
        #expect(try world.backend.gemini().requests()[0].body["systemInstruction"] == .missing)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Of the history as much goes along as the budget allows, the newest, beginning with the user`() throws {
        let world = try World(["CONTEXT_TOKENS": "500", "SUMMARIES": "off"])
        let worker = try world.backend.worker()
        func text(_ number: Int) -> String { "[sandbox:say] \(number) " + String(repeating: "x", count: 400) }
        for number in 1...6 { #expect(try world.ask(text(number))["status"] == "done") }
        let last = try #require(try world.backend.gemini().requests().last)
        // Some of the newest, in order and without a hole.
        let said = (1...6).flatMap { ["user: \(text($0))", "model: \(text($0).dropFirst("[sandbox:say] ".count))"] }
            .dropLast()
        #expect((3...9).contains(last.turns.count) && last.turns == said.suffix(last.turns.count))
        #expect(last.turns.first?.hasPrefix("user: ") == true)
        // One that is larger than the budget still goes.
        #expect(try world.ask("[sandbox:say] y " + String(repeating: "z", count: 10_000))["status"] == "done")
        #expect(try world.backend.gemini().requests().last?.turns.count == 1)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Answers arrive whole, however they are cut on the way`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let odd = "naïve 👩‍👩‍👧 “\u{2028}\u{2029}\u{85}” \\n \" {\"error\":{}} data: [DONE]\n\n end"
        #expect(try world.ask("[sandbox:fragment bytes=3][sandbox:say] \(odd)")["content"].text == odd)
        let long = try world.ask("[sandbox:chunks n=200 ms=0][sandbox:long bytes=1000000]")
        #expect(long["content"].text?.utf8.count == 1_000_000)
        let thinking = try world.ask("[sandbox:thoughts] What do you think?")
        #expect(thinking["status"] == "done")
        #expect(thinking["content"].text?.contains("Reading the message") == false)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `An answer that Gemini interrupts is continued, and stored as one`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask("[sandbox:continuation hops=2][sandbox:long bytes=900]")
        let whole = try world.ask("[sandbox:long bytes=900]")
        #expect(reply["content"] == whole["content"] && reply["content"].text?.utf8.count == 900)
        let requests = try world.backend.gemini().requests().prefix(3)
        let tokens = requests.map { $0.body["continuationToken"].text }
        #expect(tokens[0] == nil && tokens[1] != nil && tokens[2] != nil && tokens[1] != tokens[2])
        #expect(Set(requests.map { $0.turns.last }).count == 1)
        withExtendedLifetime(worker) {}
    }
}
