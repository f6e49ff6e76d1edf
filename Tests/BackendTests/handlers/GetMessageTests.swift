import Common
import TestSupport
import Testing

@Suite(.threads)
struct GetMessageTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person)
    }

    @Test
    func `A message is shown`() throws {
        let reply = try backend.post("Hello", room, person)
        let answer = try get(reply)
        #expect(answer.status == 200)
        #expect(answer.json["id"].text == reply)
        #expect(answer.json["status"] == "queued")
    }

    @Test
    func `A message of another room of the same person is not there`() throws {
        let reply = try backend.post("Hello", room, person)
        let other = try backend.room(person)
        expectProblem(try backend.call("get-message", room: other, message: reply, token: person.token), 404)
    }

    @Test(
        arguments: [
            ([], ""), ([(1, 0, "Hello")], "Hello"), ([(1, 5, " there"), (1, 0, "Hello")], "Hello there"),
            ([(1, 0, "Hello"), (1, 6, "gap")], "Hello"), ([(1, 1, "no beginning")], ""),
            ([(1, 0, "Hello"), (1, 3, "lo there"), (1, 4, "o"), (1, 11, "!")], "Hello there!"),
            ([(1, 0, "old"), (2, 0, "new")], "new"), ([(1, 0, "old"), (3, 3, "gap")], ""),
            ([(1, 0, "é"), (1, 2, "😀"), (1, 6, "é")], "é😀é"), ([(1, 0, "aé"), (1, 1, "é😀"), (1, 3, "😀")], "aé😀"),
            // What a worker cannot have written: a row that begins within a character.
            ([(1, 0, "ab"), (1, 1, "é😀")], "ab"),
        ] as [([(attempt: Int, start: Int, text: String)], String)])
    func `While a reply runs its content is what has come so far`(
        deltas: [(attempt: Int, start: Int, text: String)], content: String
    ) throws {
        let conversation = try Conversation()
        let sent = try conversation.send("Hello")
        try conversation.begin(sent.reply, deltas: deltas)
        let message = try conversation.call("get-message", sent.reply).json
        #expect(message["status"] == "running" && message["content"].text == content)
        #expect(try conversation.shown()[1]["content"].text == content)
    }

    // MARK: The queue

    @Test
    func `A queued reply says how many are before it, and how long it may take`() throws {
        let conversation = try Conversation()
        let database = conversation.database
        let first = try conversation.send("one").reply
        let second = try conversation.send("two").reply
        func place(_ reply: String) throws -> [JSONValue] {
            let message = try conversation.call("get-message", reply).json
            return [message["position"], message["eta_seconds"]]
        }
        #expect(try [place(first), place(second)] == [[1, .null], [2, .null]])
        try database.execute(
            "insert into model_times (model, milliseconds) values ('gemini-3.8-flash', 2500), ('x', 1)")
        #expect(try [place(first), place(second)] == [[1, 3], [2, 5]])
        try conversation.begin(first)
        #expect(try [place(first), place(second)] == [[0, .null], [1, 5]])

        // Other rooms: one that could begin, with another message behind; one that is at work; one that waits for a next try.
        let rooms = try (0..<3).map { _ in try conversation.backend.room(conversation.person) }
        let others = try (rooms + rooms).map { try conversation.backend.post("Hello", $0, conversation.person) }
        let last = try conversation.send("three").reply
        try conversation.begin(others[1])
        try database.execute(
            "update jobs set state = 'waiting', run_at = now() + interval '1 hour' where id = \(others[2])::uuid")
        // Two before it in its room, of which one runs, and half of a reply's time for the other room.
        #expect(try [place(second), place(last)] == [[1, 5], [3, 9]])
        try conversation.finish()
        #expect(try [first, last].map(place) == [[.null, .null], [.null, .null]])
    }

    @Test
    func `Where rooms wait and nobody is at work, nobody knows how long`() throws {
        let conversation = try Conversation()
        _ = try conversation.backend.post("Hello", conversation.backend.room(conversation.person), conversation.person)
        try conversation.database.execute(
            "insert into model_times (model, milliseconds) values ('gemini-3.8-flash', 900)")
        let reply = try conversation.send("Hello").reply
        let message = try conversation.call("get-message", reply).json
        #expect(message["position"] == 2 && message["eta_seconds"] == .null)
        // Nor where somebody is, but the queue is too long to be looked at.
        let rooms = try (0..<2).map { _ in try conversation.backend.room(conversation.person) }
        try conversation.begin(conversation.backend.post("Hello", rooms[0], conversation.person))
        #expect(try conversation.call("get-message", reply).json["eta_seconds"] == 2)
        try conversation.database.execute(
            """
            insert into jobs (user_id, lane, id, kind)
            select \(conversation.person.id), \(rooms[1]), uuidv7(now()), 'reply' from generate_series(1, 1000)
            """)
        #expect(try conversation.call("get-message", reply).json["eta_seconds"] == .null)
    }

    // MARK: ETags

    @Test
    func `The ETag is another whenever the message is, and the same otherwise`() throws {
        let conversation = try Conversation()
        let sent = try conversation.send("Hello")
        var tags: [String] = []
        func look() throws {
            let answer = try conversation.call("get-message", sent.reply)
            let tag = try #require(answer.header("ETag"))
            #expect(tag.hasPrefix("\"") && tag.hasSuffix("\"") && tag.count > 10)
            #expect(try conversation.call("get-message", sent.reply).header("ETag") == tag)
            for known in [tag, "W/\(tag)", "\"x\", \(tag)", "*"] {
                let same = try conversation.call("get-message", sent.reply, headers: ["If-None-Match": known])
                #expect(same.status == 304 && same.body.isEmpty && same.header("ETag") == tag)
            }
            for known in tags + ["\"x\"", "x"] {
                let other = try conversation.call("get-message", sent.reply, headers: ["If-None-Match": known])
                #expect(other.status == 200 && other.json == answer.json)
            }
            tags.append(tag)
        }
        try look()
        try conversation.begin(sent.reply)
        try look()
        for (start, text) in [(0, "Hello"), (5, " there")] {
            try add(text, at: start, to: sent.reply, conversation)
            try look()
        }
        try conversation.finish()
        try look()
        _ = try conversation.regenerate(sent.reply)
        try look()
        #expect(Set(tags).count == 6)
    }

    @Test
    func `Who waits with an ETag is told when there is more, and that there is not when the time is over`() throws {
        let conversation = try Conversation()
        let sent = try conversation.send("Hello")
        try conversation.begin(sent.reply)
        var seen = ""
        for (start, text) in [(0, "Hello"), (5, " there")] {
            let tag = try #require(try conversation.call("get-message", sent.reply).header("ETag"))
            let headers = ["If-None-Match": tag, "Prefer": "wait=1"]
            let took = try seconds {
                let same = try conversation.call("get-message", sent.reply, headers: headers)
                #expect(same.status == 304 && same.header("ETag") == tag)
            }
            #expect(took >= 0.9)

            let waiting = try conversation.begun(
                "get-message", sent.reply, headers: ["If-None-Match": tag, "Prefer": "wait=30"])
            #expect(try conversation.call("get-message", sent.reply).json["content"].text == seen)
            seen += text
            try add(text, at: start, to: sent.reply, conversation)
            let answer = try waiting.answer()
            #expect(answer.status == 200 && answer.json["content"].text == seen && answer.header("ETag") != tag)
        }
        // And without one, not before the end.
        let waiting = try conversation.begun("get-message", sent.reply, headers: ["Prefer": "wait=30"])
        try add("!", at: 11, to: sent.reply, conversation)
        try conversation.finish()
        try conversation.database.execute("select pg_notify('replies', \(sent.reply))")
        let answer = try waiting.answer()
        #expect(answer.json["status"] == "done")
        // What is finished is not waited for.
        let headers = ["If-None-Match": answer.header("ETag") ?? "", "Prefer": "wait=30"]
        let least = try quickest(below: 5) {
            try seconds {
                let again = try conversation.call("get-message", sent.reply, headers: headers)
                #expect(again.status == 304)
            }
        }
        #expect(least < 5)
    }

    private func add(_ text: String, at start: Int, to reply: String, _ conversation: Conversation) throws {
        try conversation.database.execute(
            """
            insert into deltas (user_id, message_id, attempt, start, text)
            values (\(conversation.person.id), \(reply), 1, \(start), \(text))
            """)
        try conversation.database.execute("select pg_notify('replies', \(reply))")
    }

    // MARK: Waiting

    @Test
    func `Who waits for a reply gets it as soon as it is there`() throws {
        let reply = try backend.post("Hello", room, person)
        let waiting = try held(reply, seconds: 30)
        let worker = try backend.worker()
        let answer = try waiting.answer()
        #expect(answer.json["status"] == "done")
        #expect(answer.json["content"].text?.contains("sandbox") == true)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A notification wakes who waits at once`() throws {
        let database = backend.database.connect()
        let least = try quickest(below: 1) {
            var seconds = 0.0
            for _ in 0..<6 {
                let reply = try backend.post("Hello", room, person)
                let waiting = try held(reply, seconds: 30)
                // Between these two it has begun to listen, and from then on looks by itself only every second.
                for _ in 0..<2 { #expect(try get(reply).status == 200) }
                try database.execute("update messages set status = 'done', content = 'Hi' where id = \(reply)::uuid")
                try database.execute("select pg_notify('replies', \(reply))")
                let began = now()
                #expect(try waiting.answer().json["content"] == "Hi")
                seconds += now() - began
            }
            return seconds
        }
        // It would be three seconds on average if nobody was woken.
        #expect(least < 1)
    }

    @Test
    func `Who waits in vain gets the message as it is when the time is over`() throws {
        let reply = try backend.post("Hello", room, person)
        let least = try quickest(below: 5) {
            try seconds {
                let answer = try get(reply, headers: ["Prefer": "wait=1"])
                #expect(answer.status == 200)
                #expect(answer.json["status"] == "queued")
            }
        }
        #expect((0.9...5).contains(least))
    }

    @Test
    func `A finished message is not waited for`() throws {
        let reply = try backend.post("Hello", room, person)
        try backend.database.connect().execute("update messages set status = 'failed' where id = \(reply)::uuid")
        let least = try quickest(below: 5) {
            try seconds {
                let answer = try get(reply, headers: ["Prefer": "wait=30"])
                #expect(answer.json["status"] == "failed")
            }
        }
        #expect(least < 5)
    }

    @Test(arguments: ["wait", "wait=", "wait=x", "wait=-5", "wait=0", "respond-async", "", "wait=1e9", "=;,"])
    func `Preferences that make no sense are not followed`(preference: String) throws {
        let reply = try backend.post("Hello", room, person)
        let least = try quickest(below: 5) {
            try seconds {
                let answer = try get(reply, headers: ["Prefer": preference])
                #expect(answer.status == 200)
            }
        }
        #expect(least < 5)
    }

    /// A request that waits; it has been sent when this returns.
    private func held(_ reply: String, seconds: Int) throws -> FastCGI {
        let connection = try FastCGI(backend.endpoint("get-message").listener.path)
        connection.sendRequest(
            Backend.parameters(
                room: room, message: reply, token: person.token, headers: ["Prefer": "wait=\(seconds)"]))
        return connection
    }

    private func get(_ reply: String, headers: [String: String] = [:]) throws -> Answer {
        try backend.call("get-message", room: room, message: reply, token: person.token, headers: headers)
    }
}
