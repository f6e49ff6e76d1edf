import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct CancelReplyTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `A reply that has not begun never does`() throws {
        let sent = try conversation.send("[sandbox:say] one")
        let answer = try conversation.call("cancel-reply", sent.reply)
        #expect(answer.status == 200)
        #expect(answer.json["id"].text == sent.reply && answer.json["status"] == "cancelled")
        #expect(answer.json["content"] == "" && answer.json["completed_at"].text != nil)
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 0)
        let next = try conversation.send("[sandbox:say] two")
        let worker = try conversation.backend.worker()
        #expect(try conversation.backend.reply(next.reply, conversation.room, conversation.person)["content"] == "two")
        let asked = try conversation.backend.gemini().requests().compactMap(\.turns.last)
        #expect(asked == ["user: [sandbox:say] two"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `One that waits for its next try is cancelled too`() throws {
        let sent = try conversation.send("[sandbox:error code=429 retry=30s]")
        let worker = try conversation.backend.worker()
        try eventually("its wait") {
            try conversation.database.row(Int.self, "select count(*) from jobs where state = 'waiting'") == 1
        }
        #expect(try conversation.call("cancel-reply", sent.reply).json["status"] == "cancelled")
        let next = try conversation.send("[sandbox:say] two")
        #expect(try conversation.backend.reply(next.reply, conversation.room, conversation.person)["status"] == "done")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Of one that runs, what has come is kept`() throws {
        let sent = try conversation.send("Hello")
        try conversation.begin(sent.reply, deltas: [(1, 0, "old"), (2, 0, "naï"), (2, 4, "ve 😀"), (2, 100, "lost")])
        let readers = conversation.backend.database.connect()
        for channel in ["cancelled", "replies"] { try readers.listen(to: channel) }
        let answer = try conversation.call("cancel-reply", sent.reply)
        #expect(answer.json["status"] == "cancelled" && answer.json["content"] == "naïve 😀")
        #expect(try conversation.call("get-message", sent.reply).json["content"] == "naïve 😀")
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 0)
        #expect(try conversation.database.row(Int.self, "select count(*) from deltas") == 0)
        var heard: [String] = []
        try eventually("the notifications") {
            heard += readers.notifications().map(\.payload)
            return heard.count == 2
        }
        #expect(heard == [sent.reply, sent.reply])
    }

    @Test
    func `What the worker brings later is dropped, and the room goes on`() throws {
        let sent = try conversation.send("[sandbox:slow ms=5000][sandbox:say] one")
        let next = try conversation.send("[sandbox:say] two")
        let worker = try conversation.backend.worker()
        try eventually("the call") { try conversation.backend.gemini().requests().count == 1 }
        let cancelled = try conversation.call("cancel-reply", sent.reply)
        #expect(cancelled.json["status"] == "cancelled")
        #expect(try conversation.backend.reply(next.reply, conversation.room, conversation.person)["content"] == "two")
        let third = try conversation.send("[sandbox:slow ms=5000][sandbox:say] three")
        #expect(try conversation.backend.reply(third.reply, conversation.room, conversation.person)["status"] == "done")
        let answer = try conversation.call("cancel-reply", sent.reply)
        #expect(answer.json == cancelled.json)
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: ["done", "failed", "cancelled"])
    func `One that is finished stays as it is`(status: String) throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        try conversation.database.execute(
            "update messages set status = \(status)::message_status where id = \(sent.reply)::uuid")
        let before = try conversation.call("cancel-reply", sent.reply)
        #expect(before.status == 200)
        #expect(before.json["status"].text == status && before.json["content"] == "answer")
        #expect(try conversation.call("cancel-reply", sent.reply).json == before.json)
    }

    @Test
    func `A message of the user's is not cancelled`() throws {
        let sent = try conversation.send("Hello")
        expectProblem(try conversation.call("cancel-reply", sent.question), 409, "not_a_reply")
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 1)
    }

    @Test(arguments: [false, true])
    func `Who cancels while the reply is being stored or begun acts on what it then is`(isFinishing: Bool) throws {
        let sent = try conversation.send("Hello")
        if isFinishing { try conversation.begin(sent.reply) }
        // A worker amid its statement.
        let worker = conversation.backend.database.connect()
        try worker.script("begin")
        if isFinishing {
            try worker.execute("delete from jobs where id = \(sent.reply)::uuid")
            try worker.execute("update messages set status = 'done', content = 'all' where id = \(sent.reply)::uuid")
        } else {
            try worker.execute("update jobs set state = 'running' where id = \(sent.reply)::uuid")
            try worker.execute(
                "update messages set status = 'running', attempt = 1 where id = \(sent.reply)::uuid")
            try worker.execute(
                """
                insert into deltas (user_id, message_id, attempt, start, text)
                values (\(conversation.person.id), \(sent.reply), 1, 0, 'half')
                """)
        }
        let waiting = try conversation.begun("cancel-reply", sent.reply)
        try eventually("its wait") {
            try conversation.database.row(
                Int.self,
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
                == 1
        }
        try worker.script("commit")
        let answer = try waiting.answer().json
        #expect(answer["status"] == (isFinishing ? "done" : "cancelled"))
        #expect(answer["content"] == (isFinishing ? "all" : "half"))
        #expect(try conversation.call("get-message", sent.reply).json["content"] == answer["content"])
        #expect(try conversation.database.row(Int.self, "select count(*) from jobs") == 0)
    }

    @Test
    func `Two hundred that are cancelled at any moment end in one way each, the one that was answered`() throws {
        let conversation = try Conversation(processes: 4)
        let rooms = try (0..<20).map { _ in try conversation.backend.room(conversation.person) }
        let replies = try (0..<200).map { number in
            let room = rooms[number % rooms.count]
            return (id: try conversation.backend.post("[sandbox:slow ms=5]", room, conversation.person), room: room)
        }
        let workers = try (0..<2).map { _ in try conversation.backend.worker() }
        let answers = try concurrently(10) { thread in
            var random = Repeatable(state: UInt64(thread))
            return try stride(from: thread, to: replies.count, by: 10).map { number in
                let (id, room) = replies[number]
                // Some before they begin, some when they run, some when they are done.
                if number % 4 > 0 {
                    try eventually("its turn") {
                        let status = try conversation.get(id, in: room)["status"]
                        return number % 4 == 3 ? status == "done" : status != "queued"
                    }
                }
                usleep(.random(in: 0...15_000, using: &random))
                let answer = try conversation.backend.call(
                    "cancel-reply", room: room, message: id, token: conversation.person.token)
                #expect(answer.status == 200, "\(answer.text)")
                return (number, answer.json["status"].text ?? "", answer.json["content"])
            }
        }.joined()
        for (number, status, content) in answers {
            #expect(["done", "cancelled"].contains(status))
            let (id, room) = replies[number]
            let message = try conversation.get(id, in: room)
            #expect(message["status"].text == status && message["content"] == content)
        }
        #expect(Set(answers.map(\.1)) == ["done", "cancelled"])
        try eventually("an empty queue") { try conversation.database.row(Int.self, "select count(*) from jobs") == 0 }
        // What came late changed nothing, and the rooms go on.
        for (number, status, _) in answers {
            #expect(try conversation.get(replies[number].id, in: replies[number].room)["status"].text == status)
        }
        let next = try conversation.backend.post("[sandbox:say] next", rooms[0], conversation.person)
        #expect(try conversation.backend.reply(next, rooms[0], conversation.person)["content"] == "next")
        withExtendedLifetime(workers) {}
    }
}

extension Conversation {
    fileprivate func get(_ message: String, in room: String) throws -> JSONValue {
        try backend.call("get-message", room: room, message: message, token: person.token).json
    }
}
