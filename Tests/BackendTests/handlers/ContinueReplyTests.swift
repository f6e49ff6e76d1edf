import Common
import TestSupport
import Testing

@Suite(.threads)
struct ContinueReplyTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `A reply that was cut off is continued as one whole text, beside the cut one`() throws {
        let worker = try conversation.backend.worker()
        let question = "[sandbox:max-tokens times=1][sandbox:say] One, two, three — four, five and six."
        let sent = try conversation.send(question)
        let cut = try conversation.finished(sent.reply)
        let text = try #require(cut["content"].text)
        #expect(cut["status"] == "done" && cut["finish_reason"] == "max_tokens")
        let answer = try conversation.call("continue-reply", sent.reply)
        #expect(answer.status == 202)
        let (message, reply) = (answer.json["message"], answer.json["reply"])
        let id = try #require(reply["id"].text)
        #expect(answer.header("Location") == "/chatroom/\(conversation.room)/message/\(id)")
        #expect(message["id"].text == sent.question && reply["content"].text == text && reply["status"] == "queued")
        #expect(reply["siblings"] == ["count": 2, "number": 2, "ids": .array([.string(sent.reply), .string(id)])])
        let whole = try conversation.finished(id)
        #expect(whole["status"] == "done" && whole["finish_reason"] == "stop")
        #expect(whole["content"] == "One, two, three — four, five and six.")
        #expect(try conversation.ids() == [sent.question, id])
        // Current models refuse a conversation that ends with a turn of theirs.
        let turns = try conversation.backend.gemini().requests()[1].turns
        #expect(Array(turns.prefix(2)) == ["user: \(question)", "model: \(text)"])
        #expect(turns.count == 3 && turns[2].hasPrefix("user: Continue"))
        // What was there is there as before, and what comes after follows the whole text.
        #expect(try conversation.call("get-message", sent.reply).json["content"].text == text)
        let next = try conversation.send("And then?")
        #expect(try conversation.finished(next.reply)["status"] == "done")
        #expect(
            try conversation.backend.gemini().requests()[2].turns == [
                "user: \(question)", "model: One, two, three — four, five and six.", "user: And then?",
            ])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `One that is cut off again is continued again`() throws {
        let worker = try conversation.backend.worker()
        let sent = try conversation.send("[sandbox:max-tokens times=2][sandbox:long bytes=900]")
        var reply = try conversation.finished(sent.reply)
        var lengths: [Int] = []
        while reply["finish_reason"] == "max_tokens", lengths.count < 5 {
            lengths.append(reply["content"].text?.utf8.count ?? 0)
            reply = try conversation.finished(conversation.continue(try #require(reply["id"].text)))
        }
        #expect(lengths == [450, 675] && reply["content"].text?.utf8.count == 900)
        #expect(reply["siblings"]["count"] == 3)
        // The tokens of all of it count for what comes after, those of the last call for the user's day.
        let tokens = try conversation.database.row(
            Int.self, "select tokens from messages where id = \(reply["id"].text)::uuid")
        #expect(tokens.map { (220...230).contains($0) } == true)
        #expect(reply["usage"]["output_tokens"].number.map { $0 < 100 } == true)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `It stands in the middle of a conversation too, and is given what came before it alone`() throws {
        let worker = try conversation.backend.worker()
        let first = try conversation.send("[sandbox:say] first")
        let cut = try conversation.send("[sandbox:max-tokens times=1][sandbox:say] abcdef")
        let last = try conversation.send("[sandbox:say] last")
        for reply in [first.reply, cut.reply, last.reply] { _ = try conversation.finished(reply) }
        let whole = try conversation.continue(cut.reply)
        #expect(try conversation.finished(whole)["content"] == "abcdef")
        #expect(try conversation.ids() == [first.question, first.reply, cut.question, whole])
        let turns = try #require(try conversation.backend.gemini().requests().last).turns
        #expect(
            Array(turns.dropLast()) == [
                "user: [sandbox:say] first", "model: first", "user: [sandbox:max-tokens times=1][sandbox:say] abcdef",
                "model: abc",
            ])
        #expect(try conversation.call("choose-message", cut.reply).status == 200)
        #expect(try conversation.ids().last == last.reply)
        let provenance = try conversation.call("get-provenance", whole).json
        #expect(provenance["messages"].list.map(\.text) == [first.question, first.reply, cut.question])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Its readers see the text so far at once, and each byte once`() throws {
        let worker = try conversation.backend.worker()
        let sent = try conversation.send(
            "[sandbox:max-tokens times=1][sandbox:chunks n=8 ms=150][sandbox:long bytes=800]")
        let text = try #require(try conversation.finished(sent.reply)["content"].text)
        let reply = try conversation.continue(sent.reply)
        var seen: [String] = []
        let stream = EventStream(try conversation.begun("stream-reply", reply))
        repeat {
            let now = try conversation.call("get-message", reply).json
            seen.append(now["content"].text ?? "")
            if now["status"] == "done" { break }
        } while true
        #expect(seen.allSatisfy { $0.hasPrefix(text) })
        let whole = try #require(seen.last)
        #expect(whole.utf8.count == 800 && seen.contains { $0.utf8.count < 800 })
        let events = try stream.rest()
        #expect(events.filter { $0.name == "delta" }.compactMap(\.text).joined() == whole)
        #expect(events.last?.name == "done")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Cancelled, or where the rest cannot be had, it keeps the text so far and can be continued again`() throws {
        let sent = try conversation.send("[sandbox:say] abcdef")
        try cut(sent.reply, "abc")
        // Before it begins, and while it runs.
        for begins in [false, true] {
            let reply = try conversation.continue(sent.reply)
            if begins { try conversation.begin(reply) }
            let cancelled = try conversation.call("cancel-reply", reply).json
            #expect(cancelled["status"] == "cancelled" && cancelled["content"] == "abc")
        }
        let further = try conversation.continue(sent.reply)
        try conversation.begin(further, deltas: [(1, 0, "abcd")])
        #expect(try conversation.call("get-message", further).json["content"] == "abcd")
        #expect(try conversation.call("cancel-reply", further).json["content"] == "abcd")
        let worker = try conversation.backend.worker()
        #expect(try conversation.finished(conversation.continue(further))["content"] == "abcdef")
        // A question that no answer goes on from.
        let other = try conversation.send("[sandbox:error code=400]")
        _ = try conversation.finished(other.reply)
        try cut(other.reply, "half")
        let failed = try conversation.finished(conversation.continue(other.reply))
        #expect(failed["status"] == "failed" && failed["error"]["code"] == "request_refused")
        #expect(failed["content"] == "half")
        #expect(try conversation.call("continue-reply", failed["id"].text).status == 202)
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: [
        ("done", "MAX_TOKENS", "text", true), ("done", "OTHER", "text", true), ("done", "NEWER", "text", true),
        ("done", "STOP", "text", false), ("done", nil, "text", false), ("cancelled", nil, "text", true),
        ("cancelled", nil, "", false), ("failed", nil, "text", true), ("failed", nil, "", false),
        ("failed", "SAFETY", "text", false), ("failed", "RECITATION", "text", false), ("done", "MAX_TOKENS", "", false),
    ])
    func `Only what was cut off is continued`(status: String, reason: String?, content: String, can: Bool) throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        try conversation.database.execute(
            """
            update messages set status = \(status)::message_status, finish_reason = \(reason), content = \(content)
            where id = \(sent.reply)::uuid
            """)
        let answer = try conversation.call("continue-reply", sent.reply)
        guard !can else {
            #expect(answer.status == 202 && answer.json["reply"]["content"].text == content)
            return
        }
        expectProblem(answer, 409, "not_cut_off")
        #expect(try conversation.ids() == [sent.question, sent.reply])
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 0)
    }

    @Test
    func `What is not finished, not a reply, or without its question is not continued`() throws {
        let sent = try conversation.send("Hello")
        expectProblem(try conversation.call("continue-reply", sent.reply), 409, "reply_unfinished")
        try conversation.begin(sent.reply, deltas: [(1, 0, "so far")])
        expectProblem(try conversation.call("continue-reply", sent.reply), 409, "reply_unfinished")
        expectProblem(try conversation.call("continue-reply", sent.question), 409, "not_a_reply")
        try conversation.finish()
        try cut(sent.reply, "text")
        try conversation.database.execute("delete from messages where id = \(sent.question)::uuid")
        expectProblem(try conversation.call("continue-reply", sent.reply), 409, "question_gone")
    }

    @Test
    func `The same request twice is one reply, and twenty at once are twenty`() throws {
        let conversation = try Conversation(processes: 4)
        let sent = try conversation.send("Hello")
        try conversation.finish()
        try conversation.database.execute("update messages set finish_reason = 'MAX_TOKENS' where role = 'model'")
        let repeated = try concurrently(8) { _ in
            try conversation.call("continue-reply", sent.reply, headers: ["Idempotency-Key": "on"])
        }
        #expect(Set(repeated.map { $0.json["reply"]["id"].text }).count == 1)
        #expect(repeated.allSatisfy { $0.status == 202 && $0.json["reply"]["content"] == "answer" })
        // Another reply's key is another request.
        expectProblem(
            try conversation.call("continue-reply", sent.question, headers: ["Idempotency-Key": "on"]), 422,
            "idempotency_mismatch")
        let answers = try concurrently(20) { _ in try conversation.call("continue-reply", sent.reply) }
        #expect(answers.allSatisfy { $0.status == 202 })
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 21)
    }

    /// Ends a reply at its limit, with this much of it there.
    private func cut(_ reply: String, _ content: String) throws {
        try conversation.database.execute(
            """
            with job as (delete from jobs where id = \(reply)::uuid)
            update messages set status = 'done', finish_reason = 'MAX_TOKENS', content = \(content), completed_at = now()
            where id = \(reply)::uuid
            """)
    }
}
