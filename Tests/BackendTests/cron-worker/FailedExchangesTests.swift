import Common
import TestSupport
import Testing

/// What failed once does not fail what comes after it.
@Suite(.threads)
struct FailedExchangesTests {
    let conversation: Conversation
    let backend: Backend

    init() throws {
        conversation = try Conversation()
        backend = conversation.backend
    }

    /// The file's type and its reply's error.
    static let refused: [(what: String, file: [UInt8])] = [("picture", png), ("document", pdf)]
    private static let mark = Array("[sandbox:unreadable]".utf8)
    /// With the mark in a chunk of text behind the header, and in a comment.
    private static let png: [UInt8] = {
        let chunk: [UInt8] = [0, 0, 0, UInt8(mark.count)] + Array("tEXt".utf8) + mark + [0, 0, 0, 0]
        return Array(Files.png[..<33]) + chunk + Array(Files.png[33...])
    }()
    private static let pdf: [UInt8] = {
        let comment: [UInt8] = Array("%".utf8) + mark + Array("\n".utf8)
        return Array(Files.pdf[..<9]) + comment + Array(Files.pdf[9...])
    }()

    @Test(arguments: refused.indices)
    func `A file that is refused fails its own reply alone, says so, and is left out by an edit`(index: Int) throws {
        let worker = try backend.worker()
        let bad = try backend.upload(Self.refused[index].file, conversation.person)
        let good = try backend.upload(Files.png, conversation.person)
        let sent = try backend.send("[sandbox:say] Look", [bad, good], to: conversation.room, conversation.person).json
        let reply = try conversation.finished(try #require(sent["reply"]["id"].text))
        #expect(reply["status"] == "failed" && reply["error"]["code"] == "file_refused")
        #expect(reply["error"]["retryable"] == false && reply["error"]["detail"].text?.contains("file") == true)
        let next = try conversation.send("[sandbox:say] And without it?")
        #expect(try conversation.finished(next.reply)["status"] == "done")
        #expect(try backend.gemini().requests().last?.turns == ["user: [sandbox:say] And without it?"])
        let edited = try conversation.call(
            "edit-message", sent["message"]["id"].text,
            body: ["content": "[sandbox:say] Look again", "attachments": [.string(good)]])
        let again = try conversation.finished(try #require(edited.json["reply"]["id"].text))
        #expect(again["status"] == "done")
        let parts = try #require(try backend.gemini().requests().last).body["contents"][0]["parts"].list
        #expect(parts.count == 2 && parts[0]["inlineData"]["mimeType"] == "image/png")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A message that is blocked fails its own reply alone, on whatever branch`() throws {
        let worker = try backend.worker()
        let first = try conversation.send("[sandbox:say] one")
        let poison = try conversation.send("[sandbox:poison]")
        let last = try conversation.send("[sandbox:say] two")
        let replies = try [first.reply, poison.reply, last.reply].map(conversation.finished)
        #expect(replies.map { $0["status"] } == ["done", "failed", "done"])
        #expect(replies[1]["error"]["code"] == "prompt_blocked" && replies[1]["error"]["retryable"] == false)
        let one = ["user: [sandbox:say] one", "model: one"]
        let requests = { try backend.gemini().requests().map(\.turns) }
        #expect(try requests() == [[one[0]], one + ["user: [sandbox:poison]"], one + ["user: [sandbox:say] two"]])
        // In other words, and from the branch that grew out of that.
        let edited = try conversation.edit(poison.question, "[sandbox:say] mild")
        _ = try conversation.finished(edited.reply)
        let onward = try conversation.send("[sandbox:say] onward")
        #expect(try conversation.finished(onward.reply)["status"] == "done")
        #expect(
            try requests().last == one + ["user: [sandbox:say] mild", "model: mild", "user: [sandbox:say] onward"])
        // The answer to the last one is made anew after the failed one.
        #expect(try conversation.call("choose-message", last.reply).status == 200)
        #expect(try conversation.finished(conversation.regenerate(last.reply))["status"] == "done")
        #expect(try requests().last == one + ["user: [sandbox:say] two"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A failed reply that is regenerated is part of the conversation`() throws {
        let worker = try backend.worker()
        let sent = try conversation.send("[sandbox:error code=400 times=1][sandbox:say] one")
        #expect(try conversation.finished(sent.reply)["status"] == "failed")
        let again = try conversation.regenerate(sent.reply)
        #expect(try conversation.finished(again)["content"] == "one")
        let next = try conversation.send("[sandbox:say] two")
        _ = try conversation.finished(next.reply)
        #expect(
            try backend.gemini().requests().last?.turns == [
                "user: [sandbox:error code=400 times=1][sandbox:say] one", "model: one", "user: [sandbox:say] two",
            ])
        // And on the branch where it failed it is not.
        #expect(try conversation.call("choose-message", sent.reply).status == 200)
        let other = try conversation.send("[sandbox:say] three")
        _ = try conversation.finished(other.reply)
        #expect(try backend.gemini().requests().last?.turns == ["user: [sandbox:say] three"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Of failed replies nothing goes along, of cancelled ones what was said`() throws {
        let turns = try (1...5).map { try conversation.send("\($0)") }
        try conversation.finish()
        let ends = [("failed", ""), ("failed", "half"), ("cancelled", ""), ("cancelled", "half"), ("done", "whole")]
        for (turn, (status, content)) in zip(turns, ends) {
            try conversation.database.execute(
                """
                update messages set status = \(status)::message_status, content = \(content)
                where id = \(turn.reply)::uuid
                """)
        }
        let worker = try backend.worker()
        let last = try conversation.send("[sandbox:say] 6")
        _ = try conversation.finished(last.reply)
        let sent = try backend.gemini().requests()[0]
        #expect(
            sent.turns == [
                "user: 3", "user: 4", "model: half", "user: 5", "model: whole", "user: [sandbox:say] 6",
            ])
        let provenance = try conversation.call("get-provenance", last.reply).json
        #expect(
            provenance["messages"].list.map(\.text) == [
                turns[2].question, turns[3].question, turns[3].reply, turns[4].question, turns[4].reply, last.question,
            ])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `What was left out takes no part of the budget`() throws {
        let conversation = try Conversation(["CONTEXT_TOKENS": "300", "SUMMARIES": "off"])
        let worker = try conversation.backend.worker()
        let kept = try conversation.send("[sandbox:say] kept")
        _ = try conversation.finished(kept.reply)
        for _ in 0..<3 {
            let long = try conversation.send("[sandbox:poison] " + String(repeating: "word ", count: 150))
            #expect(try conversation.finished(long.reply)["error"]["code"] == "prompt_blocked")
        }
        let last = try conversation.send("[sandbox:say] last")
        _ = try conversation.finished(last.reply)
        #expect(
            try conversation.backend.gemini().requests().last?.turns == [
                "user: [sandbox:say] kept", "model: kept", "user: [sandbox:say] last",
            ])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Another 400 says what it is, and that the same will not help`() throws {
        let worker = try backend.worker()
        let sent = try conversation.send("[sandbox:error code=400]")
        let error = try conversation.finished(sent.reply)["error"]
        #expect(error["code"] == "request_refused" && error["retryable"] == false)
        #expect(error["detail"].text?.contains("INVALID_ARGUMENT") == true)
        withExtendedLifetime(worker) {}
    }
}
