import Common
import TestSupport
import Testing

@Suite(.threads)
struct RegenerateReplyTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `A reply is made anew, beside the old one`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let answer = try conversation.call("regenerate-reply", sent.reply)
        #expect(answer.status == 202)
        let (message, reply) = (answer.json["message"], answer.json["reply"])
        let id = try #require(reply["id"].text)
        #expect(message["id"].text == sent.question && message["content"] == "Hello")
        #expect(answer.header("Location") == "/chatroom/\(conversation.room)/message/\(id)")
        #expect(reply["status"] == "queued" && reply["content"] == "" && reply["role"] == "model")
        #expect(reply["siblings"] == ["count": 2, "number": 2, "ids": .array([.string(sent.reply), .string(id)])])
        let shown = try conversation.shown()
        #expect(shown == [message, reply])
        let old = try conversation.call("get-message", sent.reply).json
        #expect(old["siblings"]["number"] == 1 && old["siblings"]["ids"] == reply["siblings"]["ids"])
        let job = try conversation.database.row(
            String.self, "select concat_ws(' ', user_id, lane, id, kind, state) from jobs")
        #expect(job == "\(conversation.person.id) \(conversation.room) \(id) reply ready")
    }

    @Test(arguments: ["", "{}", "[", "\u{1}"])
    func `No body is needed, and none is read`(body: String) throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let answer = try conversation.backend.call(
            "regenerate-reply", room: conversation.room, message: sent.reply, token: conversation.person.token,
            raw: Array(body.utf8), type: body == "{}" ? "application/json" : "")
        #expect(answer.status == 202)
    }

    @Test(arguments: ["done", "failed", "cancelled"])
    func `Any that is finished can be made anew`(status: String) throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        try conversation.database.execute(
            "update messages set status = \(status)::message_status where id = \(sent.reply)::uuid")
        let again = try conversation.regenerate(sent.reply)
        #expect(try conversation.ids() == [sent.question, again])
    }

    @Test(arguments: ["queued", "running"])
    func `One that is not finished cannot`(status: String) throws {
        let sent = try conversation.send("Hello")
        if status == "running" { try conversation.begin(sent.reply) }
        expectProblem(try conversation.call("regenerate-reply", sent.reply), 409, "reply_unfinished")
        #expect(try conversation.ids() == [sent.question, sent.reply])
        #expect(try conversation.database.row(Int.self, "select count(*) from branches") == 0)
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 1)
    }

    @Test
    func `A message of the user's is no reply`() throws {
        let sent = try conversation.send("Hello")
        expectProblem(try conversation.call("regenerate-reply", sent.question), 409, "not_a_reply")
    }

    @Test
    func `What is regenerated again stands at the same place, and what came after it is not shown`() throws {
        let first = try conversation.send("one")
        let second = try conversation.send("two")
        try conversation.finish()
        let again = try conversation.regenerate(first.reply)
        try conversation.finish()
        let onward = try conversation.send("three")
        try conversation.finish()
        #expect(try conversation.ids() == [first.question, again, onward.question, onward.reply])
        let third = try conversation.regenerate(again)
        try conversation.finish()
        #expect(try conversation.ids() == [first.question, third])
        #expect(
            try conversation.shown()[1]["siblings"]["ids"] == .array([first.reply, again, third].map { .string($0) }))
        // Deeper: a fork within a fork, of a message that has no variants yet.
        #expect(try conversation.call("choose-message", onward.reply).status == 200)
        let deep = try conversation.regenerate(onward.reply)
        #expect(try conversation.ids() == [first.question, again, onward.question, deep])
        #expect(try conversation.call("choose-message", second.reply).status == 200)
        #expect(try conversation.ids() == [first.question, first.reply, second.question, second.reply])
    }

    @Test
    func `Twenty at once are twenty replies, each with its own number`() throws {
        let conversation = try Conversation(processes: 4)
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let answers = try concurrently(20) { _ in try conversation.call("regenerate-reply", sent.reply) }
        #expect(answers.allSatisfy { $0.status == 202 })
        let siblings = answers.map { $0.json["reply"]["siblings"] }
        #expect(siblings.compactMap { $0["number"].number }.sorted() == (2...21).map(Double.init))
        #expect(
            siblings.allSatisfy { $0["number"] == $0["count"] && Double($0["ids"].list.count) == $0["count"].number })
        let ids = try #require(siblings.first { $0["count"] == 21 })["ids"]
        for (number, id) in ids.list.enumerated() {
            let message = try conversation.call("get-message", id.text).json
            #expect(message["siblings"] == ["count": 21, "number": .number(Double(number + 1)), "ids": ids])
            #expect(try conversation.call("choose-message", id.text).status == 200)
            #expect(try conversation.ids() == [sent.question, id.text])
        }
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 20)
        let branches = try conversation.database.rows(Int.self, "select id from branches order by id")
        #expect(branches == Array(0...20))
    }

    @Test
    func `The conversation that reaches Gemini is the one that is shown`() throws {
        let worker = try conversation.backend.worker()
        func reply(_ id: String) throws {
            let reply = try conversation.backend.reply(id, conversation.room, conversation.person)
            #expect(reply["status"] == "done")
        }
        let first = try conversation.send("[sandbox:say] one")
        try reply(first.reply)
        let second = try conversation.send("[sandbox:say] two")
        try reply(second.reply)
        try reply(conversation.regenerate(first.reply))
        let edited = try conversation.edit(first.question, "[sandbox:say] other")
        try reply(edited.reply)
        let onward = try conversation.send("[sandbox:say] onward")
        try reply(onward.reply)
        #expect(try conversation.call("choose-message", second.reply).status == 200)
        let third = try conversation.send("[sandbox:say] three")
        try reply(third.reply)
        try reply(conversation.regenerate(second.reply))
        let turns = try conversation.backend.gemini().requests().map(\.turns)
        let say = { (text: String) in ["user: [sandbox:say] \(text)", "model: \(text)"] }
        #expect(
            turns == [
                ["user: [sandbox:say] one"],
                say("one") + ["user: [sandbox:say] two"],
                ["user: [sandbox:say] one"],
                ["user: [sandbox:say] other"],
                say("other") + ["user: [sandbox:say] onward"],
                say("one") + say("two") + ["user: [sandbox:say] three"],
                say("one") + ["user: [sandbox:say] two"],
            ])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A room that is deleted meanwhile has nothing made in it`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        // Whoever deletes rooms holds this lock.
        let deleting = conversation.backend.database.connect()
        try deleting.script(
            """
            begin; select pg_advisory_xact_lock(uuid_hash_extended('\(conversation.person.id)', 1));
            delete from chatrooms
            """)
        let waiting = try conversation.begun("regenerate-reply", sent.reply)
        try eventually("its wait") {
            try conversation.database.row(
                Int.self,
                "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()")
                == 1
        }
        try deleting.script("commit")
        expectProblem(try waiting.answer(), 404, "not_found")
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 0)
    }
}
