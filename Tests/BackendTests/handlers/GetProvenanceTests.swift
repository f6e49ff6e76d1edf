import Common
import TestSupport
import Testing

@Suite(.threads)
struct GetProvenanceTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `What a reply was given is told: model, summary, messages and tokens`() throws {
        let turns = try (1...3).map { try conversation.send("\($0)") }
        try conversation.finish()
        let summary = try #require(
            try conversation.database.row(
                String.self,
                """
                insert into summaries (user_id, chatroom_id, upto, content, tokens)
                values (\(conversation.person.id), \(conversation.room), \(turns[0].reply), 'They counted.', 4)
                returning id
                """))
        try store(
            #"{"from":"\#(turns[1].question)","count":3,"summary":"\#(summary)","tokens":70,"attempts":1}"#,
            turns[2].reply)
        let answer = try conversation.call("get-provenance", turns[2].reply)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["model", "summary", "messages", "tokens"])
        #expect(answer.json["model"] == "gemini-3.8-flash" && answer.json["tokens"] == 70)
        #expect(
            answer.json["messages"]
                == .array([turns[1].question, turns[1].reply, turns[2].question].map { .string($0) }))
        #expect(answer.json["summary"].names == ["id", "content", "upto", "created_at"])
        #expect(answer.json["summary"]["id"].text == summary && answer.json["summary"]["upto"].text == turns[0].reply)
        #expect(answer.json["summary"]["content"] == "They counted.")
    }

    @Test
    func `The messages are those of the reply's own branch, whichever is shown`() throws {
        let first = try conversation.send("one")
        let second = try conversation.send("two")
        try conversation.finish()
        let again = try conversation.regenerate(first.reply)
        try conversation.finish()
        let onward = try conversation.send("three")
        try conversation.finish()
        for reply in [second.reply, onward.reply] {
            try store(#"{"from":"\#(first.question)","count":3,"tokens":9,"attempts":1}"#, reply)
        }
        func messages(_ reply: String) throws -> [String?] {
            try conversation.call("get-provenance", reply).json["messages"].list.map(\.text)
        }
        #expect(try messages(onward.reply) == [first.question, again, onward.question])
        #expect(try messages(second.reply) == [first.question, first.reply, second.question])
    }

    @Test
    func `What failed, or was cancelled without a word, was not given`() throws {
        let turns = try (1...4).map { try conversation.send("\($0)") }
        try conversation.finish()
        let statuses = [("failed", ""), ("cancelled", ""), ("cancelled", "half")]
        for (turn, (status, content)) in zip(turns, statuses) {
            try conversation.database.execute(
                """
                update messages set status = \(status)::message_status, content = \(content)
                where id = \(turn.reply)::uuid
                """)
        }
        try store(#"{"from":"\#(turns[0].question)","count":5,"tokens":9,"attempts":2}"#, turns[3].reply)
        let given = try conversation.call("get-provenance", turns[3].reply).json
        #expect(
            given["messages"].list.map(\.text)
                == [turns[0].question, turns[1].question, turns[2].question, turns[2].reply, turns[3].question])
        #expect(given["summary"] == .null)
    }

    @Test
    func `The question of a failed reply was not given, but it was to the older replies that say so`() throws {
        let turns = try (1...3).map { try conversation.send("\($0)") }
        try conversation.finish()
        try conversation.database.execute(
            "update messages set status = 'failed', content = '' where id = \(turns[1].reply)::uuid")
        let (all, given) = (
            [turns[0].question, turns[0].reply, turns[1].question, turns[2].question],
            [turns[0].question, turns[0].reply, turns[2].question]
        )
        for ids in [given, all] {
            try store(#"{"from":"\#(ids[0])","count":\#(ids.count),"tokens":9,"attempts":1}"#, turns[2].reply)
            let provenance = try conversation.call("get-provenance", turns[2].reply).json
            #expect(provenance["messages"].list.map(\.text) == ids)
        }
        // A reply that failed was given its own question.
        try store(#"{"from":"\#(turns[0].question)","count":3,"tokens":9,"attempts":1}"#, turns[1].reply)
        #expect(
            try conversation.call("get-provenance", turns[1].reply).json["messages"].list.map(\.text)
                == [turns[0].question, turns[0].reply, turns[1].question])
    }

    @Test
    func `Of a reply that has not begun there is nothing to tell`() throws {
        let sent = try conversation.send("Hello")
        let answer = try conversation.call("get-provenance", sent.reply)
        #expect(answer.status == 200)
        #expect(
            answer.json == [
                "model": .null, "summary": .null, "messages": [], "tokens": .null,
            ])
        expectProblem(try conversation.call("get-provenance", sent.question), 409, "not_a_reply")
    }

    /// As the worker stores it.
    private func store(_ provenance: String, _ reply: String) throws {
        try conversation.database.execute(
            """
            update messages set provenance = \(provenance)::jsonb, model = 'gemini-3.8-flash' where id = \(reply)::uuid
            """)
    }
}
