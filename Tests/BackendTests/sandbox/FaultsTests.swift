import TestSupport
import Testing

/// The sandbox's misbehaviour by seed, and the answers that show whether it did harm.
@Suite(.threads)
struct FaultsTests {
    @Test
    func `The same seed misbehaves in the same calls and ways, another one in others`() throws {
        let runs = try concurrently(3) { try outcomes(of: 40, faults: $0 < 2 ? "7:0.5" : "8:0.5") }
        #expect(runs[0] == runs[1])
        #expect(runs[0] != runs[2])
        for run in runs {
            let whole = run.filter { $0 == "200 STOP" }.count
            #expect((8...36).contains(whole), "\(run)")
            #expect(Set(run).count > 4, "\(run)")
        }
    }

    @Test
    func `How often it misbehaves is as it was told, and is counted`() throws {
        let folder = try Folder()
        for (rate, expected) in [("0", 0), ("1", 10)] {
            let gemini = try Gemini(folder: folder, faults: "3:\(rate)")
            for _ in 0..<10 { _ = try gemini.stream("Hello") }
            let faults = try gemini.faults()
            #expect(faults.values.reduce(0, +) == expected, "\(faults)")
            #expect(faults.count >= 20)
        }
    }

    @Test(arguments: ["", "x", "1:", "1:2", "1:-0.1", "1:0.1:2", "-1"])
    func `A choice that is none is refused`(choice: String) throws {
        let folder = try Folder()
        let sandbox = try Executable("sandbox-gemini", ["--port", "0", "--faults=\(choice)"], folder: folder.path)
        #expect(try sandbox.wait() == .code(64))
        #expect(sandbox.error.contains("--faults"))
    }

    @Test
    func `A checked answer follows from the conversation, and a continued one is the same text`() throws {
        let backend = try Backend()
        let person = try backend.signIn()
        let room = try backend.room(person)
        let worker = try backend.worker()
        var turns: [String] = []
        let messages = [
            "[sandbox:checked] one", "[sandbox:checked words=3] two", "[sandbox:checked][sandbox:continuation hops=2]",
        ]
        for message in messages {
            turns.append("user: \(message)")
            let reply = try backend.reply(backend.post(message, room, person), room, person)
            let expected = CheckedAnswer.text(to: turns, words: message.contains("=3") ? 3 : 40)
            #expect(reply["content"].text == expected)
            turns.append("model: \(expected)")
        }
        withExtendedLifetime(worker) {}
    }

    /// What became of so many calls, one after the other.
    private func outcomes(of count: Int, faults: String) throws -> [String] {
        let folder = try Folder()
        let gemini = try Gemini(folder: folder, faults: faults)
        return try (0..<count).map { _ in
            let answer = try gemini.stream("Hello")
            // How much of an answer arrives before a reset is not for the sandbox to say.
            guard answer.hasSuffix("0\r\n\r\n") || answer.contains("\r\nContent-Length:") else { return "broken" }
            let status = answer.split(separator: " ", maxSplits: 2)[1]
            let reason = answer.firstMatch(of: /"(?:finishReason|blockReason|status)": ?"(\w+)"/)?.output.1 ?? "none"
            return "\(status) \(reason)"
        }
    }
}
