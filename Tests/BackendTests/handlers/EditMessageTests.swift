import Common
import TestSupport
import Testing

@Suite(.threads)
struct EditMessageTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `A message is asked in other words, and answered anew`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let answer = try conversation.call("edit-message", sent.question, body: ["content": "Good day"])
        #expect(answer.status == 202)
        let (message, reply) = (answer.json["message"], answer.json["reply"])
        let (question, id) = (try #require(message["id"].text), try #require(reply["id"].text))
        #expect(answer.header("Location") == "/chatroom/\(conversation.room)/message/\(id)")
        #expect(message["content"] == "Good day" && message["status"] == "done" && message["role"] == "user")
        #expect(
            message["siblings"] == [
                "count": 2, "number": 2, "ids": .array([.string(sent.question), .string(question)]),
            ])
        #expect(reply["status"] == "queued" && reply["siblings"] == .null)
        #expect(try conversation.shown() == [message, reply])
        let job = try conversation.database.row(
            String.self, "select concat_ws(' ', user_id, lane, id, kind, state) from jobs")
        #expect(job == "\(conversation.person.id) \(conversation.room) \(id) reply ready")
    }

    @Test
    func `What came before stays, what came after is not shown, and all of it can be had again`() throws {
        let turns = try (1...3).map { try conversation.send("\($0)") }
        try conversation.finish()
        let edited = try conversation.edit(turns[1].question, "other")
        try conversation.finish()
        #expect(
            try conversation.ids() == [turns[0].question, turns[0].reply, edited.question, edited.reply])
        #expect(try conversation.call("choose-message", turns[1].question).status == 200)
        #expect(try conversation.ids() == turns.flatMap { [$0.question, $0.reply] })
    }

    @Test
    func `The reply to an edited message has variants of its own`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let edited = try conversation.edit(sent.question, "Good day")
        try conversation.finish()
        let again = try conversation.regenerate(edited.reply)
        #expect(try conversation.ids() == [edited.question, again])
        let shown = try conversation.shown()
        #expect(shown[1]["siblings"]["ids"] == .array([.string(edited.reply), .string(again)]))
        #expect(try conversation.call("get-message", sent.reply).json["siblings"] == .null)
        // Edited once more from there: beside the first, not below it.
        try conversation.finish()
        let third = try conversation.edit(edited.question, "Good evening")
        #expect(try conversation.ids() == [third.question, third.reply])
        #expect(
            try conversation.shown()[0]["siblings"]["ids"]
                == .array([sent.question, edited.question, third.question].map { .string($0) }))
    }

    @Test
    func `A message can be edited while its reply is still to come, and both are answered`() throws {
        let worker = try conversation.backend.worker()
        let sent = try conversation.send("[sandbox:slow ms=500][sandbox:say] one")
        let edited = try conversation.edit(sent.question, "[sandbox:say] two")
        let replies = try [sent.reply, edited.reply].map {
            try conversation.backend.reply($0, conversation.room, conversation.person)
        }
        #expect(replies.map { $0["content"].text } == ["one", "two"])
        #expect(try conversation.backend.gemini().requests().map(\.turns.count) == [1, 1])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A reply is not edited`() throws {
        let sent = try conversation.send("Hello")
        expectProblem(
            try conversation.call("edit-message", sent.reply, body: ["content": "x"]), 409, "not_a_question")
        #expect(try conversation.ids() == [sent.question, sent.reply])
    }

    @Test
    func `The room counts as changed`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        for _ in 0..<2 { _ = try conversation.call("list-chatrooms") }
        #expect(try conversation.call("list-chatrooms").header("X-Cache") == "hit")
        _ = try conversation.edit(sent.question, "Good day")
        let list = try conversation.call("list-chatrooms")
        #expect(list.header("X-Cache") == "miss")
        #expect(try conversation.shown()[1]["created_at"] == list.json["chatrooms"][0]["updated_at"])
    }
}
