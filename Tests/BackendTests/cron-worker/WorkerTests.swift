import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct WorkerTests {
    // MARK: What is asked and answered

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
                    "user: [sandbox:error code=400]", "user: And then?",
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
        let world = try World(["CONTEXT_TOKENS": "500"])
        let worker = try world.backend.worker()
        func text(_ number: Int) -> String { "[sandbox:say] \(number) " + String(repeating: "x", count: 400) }
        for number in 1...6 { #expect(try world.ask(text(number))["status"] == "done") }
        let last = try #require(try world.backend.gemini().requests().last)
        // About 100 tokens each, so that four fit; the oldest of them would be the model's.
        #expect(last.turns.count == 3)
        #expect(last.turns.first == "user: \(text(5))")
        #expect(last.turns.last == "user: \(text(6))")
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

    // MARK: Failures

    @Test
    func `What another call would not change fails at once, with a reason for the user`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let cases = [
            ("[sandbox:quota-daily]", "upstream_quota"), ("[sandbox:blocked]", "safety_blocked"),
            ("[sandbox:safety]", "safety_blocked"), ("[sandbox:recitation]", "safety_blocked"),
            ("[sandbox:empty]", "too_long"), ("[sandbox:bad-key]", "internal"),
            ("[sandbox:error code=400]", "internal"),
            ("[sandbox:error code=403]", "internal"), ("[sandbox:error code=404]", "internal"),
        ]
        let replies = try world.askAll(cases.map(\.0))
        let requests = try world.backend.gemini().requests()
        for ((message, code), reply) in zip(cases, replies) {
            #expect(reply["status"] == "failed", "\(message)")
            #expect(reply["error"]["code"].text == code, "\(message)")
            #expect(reply["error"]["detail"].text?.isEmpty == false, "\(message)")
            #expect(
                ["quota", "safety_blocked"].contains { code.contains($0) } == false
                    || reply["error"]["retryable"] == false)
            #expect(reply["completed_at"].text != nil)
            #expect(requests.filter { $0.turns.last == "user: \(message)" }.count == 1, "\(message)")
            // Nothing of what Google said, such as the state of the operator's key, is for the user.
            #expect(reply["error"]["detail"].text?.lowercased().contains("key") == false)
        }
        #expect(try world.jobs() == 0)
        // The answer that was paid for without a word has its tokens stored.
        let usage = replies[4]["usage"]["output_tokens"].number ?? 0
        #expect(usage >= 1_024)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Half an answer that reached its limit is an answer`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask("[sandbox:max-tokens] A long story, please.")
        #expect(reply["status"] == "done" && reply["content"].text?.isEmpty == false)
        let reason = try world.database.row(String.self, "select finish_reason from messages where role = 'model'")
        #expect(reason == "MAX_TOKENS")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `What may pass is tried again, and nothing of the first try is left`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let messages = [
            "[sandbox:error code=500 times=1]", "[sandbox:error code=502 times=1]", "[sandbox:error code=504 times=1]",
            "[sandbox:error code=429 hint=none times=1]", "[sandbox:drop times=1]", "[sandbox:garbage times=1]",
            "[sandbox:truncate times=1]", "[sandbox:truncate end=clean times=1]", "[sandbox:reset times=1]",
            "[sandbox:stream-error shape=data code=503 times=1]", "[sandbox:stream-error shape=bare code=503 times=1]",
            "[sandbox:stream-error shape=bare code=500 times=1][sandbox:fragment bytes=5]",
        ].map { "\($0)[sandbox:chunks n=6 ms=0][sandbox:say] One, two, three, four, five and six." }
        let replies = try world.askAll(messages)
        let requests = try world.backend.gemini().requests()
        for (message, reply) in zip(messages, replies) {
            #expect(reply["status"] == "done", "\(message) \(reply["error"])")
            let said = reply["content"].text ?? ""
            #expect(
                said.isEmpty == false && requests.filter { $0.turns.last == "user: \(message)" }.count == 2,
                "\(message)")
            #expect(said == "One, two, three, four, five and six." || said.contains("sandbox"), "\(message) \(said)")
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Overloaded twice and then not, a reply is had, after growing pauses`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let reply = try world.ask("[sandbox:error code=503 times=2]")
        #expect(reply["status"] == "done")
        let times = try world.backend.gemini().requests().map(\.time)
        #expect(times.count == 3)
        // Half a second to one and a half, then one to three
        #expect(times[1] - times[0] >= 0.45)
        #expect(times[2] - times[1] >= 0.95)
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: [("retry=2.5s", 2.5), ("retry=1800ms", 1.8), ("retry=0.9s", 0.9), ("times=1", 1.5)])
    func `The time that Gemini asks for is waited, no less`(hint: String, seconds: Double) throws {
        let world = try World()
        let worker = try world.backend.worker()
        let times = hint.hasPrefix("times") ? "" : " times=1"
        let reply = try world.ask("[sandbox:error code=429 \(hint)\(times)]")
        #expect(reply["status"] == "done")
        let moments = try world.backend.gemini().requests().map(\.time)
        #expect(moments.count == 2)
        #expect(moments[1] - moments[0] >= seconds - 0.01)
        // And not much more, whatever the backoff would have been.
        #expect(moments[1] - moments[0] < seconds + 5)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `When no try is left the user is told what it was`() throws {
        let world = try World(["REPLY_ATTEMPTS": "1", "REPLY_TIMEOUT_SECONDS": "1"])
        let worker = try world.backend.worker()
        let cases = [
            ("[sandbox:error code=503]", "upstream_busy"), ("[sandbox:error code=429 hint=none]", "upstream_busy"),
            ("[sandbox:drop]", "upstream_busy"), ("[sandbox:truncate]", "upstream_busy"),
            ("[sandbox:error code=504]", "timeout"), ("[sandbox:hang]", "timeout"),
            ("[sandbox:hang after=2]", "timeout"),
        ]
        for ((message, code), reply) in zip(cases, try world.askAll(cases.map(\.0))) {
            #expect(reply["status"] == "failed", "\(message)")
            #expect(reply["error"]["code"].text == code, "\(message)")
            #expect(reply["error"]["retryable"] == true, "\(message)")
        }
        // A connection that was kept and is closed without a word is another matter: libcurl asks again by itself.
        let asked = try world.backend.gemini().requests().compactMap(\.turns.last).filter { !$0.contains("drop") }
        #expect(asked.count == cases.count - 1 && Set(asked).count == asked.count)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `As many tries are made as are allowed`() throws {
        let world = try World(["REPLY_ATTEMPTS": "3"])
        let worker = try world.backend.worker()
        #expect(try world.ask("[sandbox:error code=429 retry=0.1s]")["error"]["code"] == "upstream_busy")
        #expect(try world.backend.gemini().requests().count == 3)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Where nobody listens it is busy, and the worker goes on`() throws {
        let world = try World(["GEMINI_BASE_URL": "http://127.0.0.1:1", "REPLY_ATTEMPTS": "1"])
        let worker = try world.backend.worker()
        for _ in 0..<2 { #expect(try world.ask("Hello")["error"]["code"] == "upstream_busy") }
        #expect(worker.isRunning)
    }

    @Test
    func `A message that kills whoever takes it is given up in the end`() throws {
        let world = try World()
        let reply = try world.backend.post("Hello", world.room, world.person)
        try world.database.execute("update jobs set attempts = 6")
        let worker = try world.backend.worker()
        #expect(try world.backend.reply(reply, world.room, world.person)["error"]["code"] == "internal")
        #expect(try world.backend.gemini().requests().isEmpty)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A failed reply does not hold up the next of its room`() throws {
        let world = try World()
        let ids = try ["[sandbox:blocked]", "Hello"].map { try world.backend.post($0, world.room, world.person) }
        let worker = try world.backend.worker()
        let replies = try ids.map { try world.backend.reply($0, world.room, world.person) }
        #expect(replies.map { $0["status"].text } == ["failed", "done"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A room that is deleted meanwhile leaves nothing to do`() throws {
        let world = try World()
        _ = try world.backend.post("[sandbox:slow ms=300]", world.room, world.person)
        _ = try world.backend.post("Hello", world.room, world.person)
        let worker = try world.backend.worker()
        try eventually("the first call") { try !world.backend.gemini().requests().isEmpty }
        try world.database.execute("delete from chatrooms")
        try eventually("an empty queue") { try world.jobs() == 0 }
        let other = try world.backend.room(world.person)
        #expect(try world.ask("Hello", in: other)["status"] == "done")
        #expect(worker.isRunning)
    }

    // MARK: Order

    @Test
    func `The messages of a room are answered one at a time, in their order, each knowing the answer before it`() throws
    {
        let world = try World()
        let texts = (1...6).map { "[sandbox:slow ms=60][sandbox:say] answer \($0)" }
        let ids = try texts.map { try world.backend.post($0, world.room, world.person) }
        let workers = try (0..<2).map { _ in try world.backend.worker() }
        for id in ids { #expect(try world.backend.reply(id, world.room, world.person)["status"] == "done") }
        let requests = try world.backend.gemini().requests()
        #expect(requests.map { $0.turns.last } == texts.map { "user: \($0)" })
        for (index, request) in requests.enumerated() {
            let expected = (0..<index).flatMap { ["user: \(texts[$0])", "model: answer \($0 + 1)"] }
            #expect(request.turns.dropLast() == expected[...])
        }
        withExtendedLifetime(workers) {}
    }

    @Test
    func `While a reply waits for its next try, the room's next message waits too`() throws {
        let world = try World()
        let ids = try ["[sandbox:error code=429 retry=1.2s times=1][sandbox:say] first", "second"].map {
            try world.backend.post($0, world.room, world.person)
        }
        let workers = try (0..<2).map { _ in try world.backend.worker() }
        for id in ids { #expect(try world.backend.reply(id, world.room, world.person)["status"] == "done") }
        let last = try world.backend.gemini().requests().map { $0.turns.count }
        #expect(last == [1, 1, 3])
        withExtendedLifetime(workers) {}
    }

    @Test
    func `Rooms are answered side by side`() throws {
        let world = try World()
        let messages = (1...40).map { "[sandbox:slow ms=1500] \($0)" }
        let worker = try world.backend.worker()
        let rooms = try messages.map { _ in try world.backend.room(world.person) }
        let began = now()
        let ids = try zip(messages, rooms).map { try world.backend.post($0, $1, world.person) }
        for (id, room) in zip(ids, rooms) {
            #expect(try world.backend.reply(id, room, world.person)["status"] == "done")
        }
        // One after the other it would be a minute.
        #expect(now() - began < 15)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Several workers at once never make two replies of one message`() throws {
        let world = try World()
        let workers = try (0..<4).map { _ in try world.backend.worker() }
        let rooms = try (0..<20).map { _ in try world.backend.room(world.person) }
        let posts = try (0..<80).map { number in
            let room = rooms[number % rooms.count]
            return (try world.backend.post("number \(number)", room, world.person), room)
        }
        for (id, room) in posts { #expect(try world.backend.reply(id, room, world.person)["status"] == "done") }
        let asked = try world.backend.gemini().requests().compactMap { $0.turns.last }
        #expect(asked.count == 80 && Set(asked).count == 80)
        #expect(try world.jobs() == 0)
        withExtendedLifetime(workers) {}
    }

    // MARK: Coming and going

    @Test
    func `It works for its time and ends by itself`() throws {
        let world = try World()
        let began = now()
        let worker = try world.backend.worker(seconds: 1)
        #expect(try world.ask("Hello")["status"] == "done")
        #expect(try worker.wait() == .code(0))
        #expect((0.9...10).contains(now() - began))
    }

    @Test
    func `What it has begun when its time is over it finishes`() throws {
        let world = try World()
        let id = try world.backend.post("[sandbox:slow ms=2500]", world.room, world.person)
        let worker = try world.backend.worker(seconds: 1)
        #expect(try worker.wait() == .code(0))
        #expect(try world.backend.reply(id, world.room, world.person, within: 1)["status"] == "done")
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func `Told to stop while idle, it ends at once`(signal: Int32) throws {
        let world = try World()
        let worker = try world.backend.worker()
        #expect(try world.ask("Hello")["status"] == "done")
        let began = now()
        worker.signal(signal)
        #expect(try worker.wait() == .code(0))
        #expect(now() - began < 2)
    }

    @Test
    func `Told to stop, it finishes what is nearly done and gives back the rest`() throws {
        let world = try World()
        let rooms = try (0..<2).map { _ in try world.backend.room(world.person) }
        let quick = try world.backend.post("[sandbox:slow ms=2000]", rooms[0], world.person)
        let stuck = try world.backend.post("[sandbox:hang times=1]", rooms[1], world.person)
        let worker = try world.backend.worker()
        try eventually("both calls") { try world.backend.gemini().requests().count == 2 }
        worker.terminate()
        #expect(try worker.wait(seconds: 30) == .code(0))
        #expect(try world.backend.reply(quick, rooms[0], world.person, within: 1)["status"] == "done")
        let job = try world.database.row(
            String.self, "select concat_ws(' ', state, attempts, worker) from jobs where id = \(stuck)::uuid")
        #expect(job == "ready 0")
        let next = try world.backend.worker()
        #expect(try world.backend.reply(stuck, rooms[1], world.person)["status"] == "done")
        withExtendedLifetime(next) {}
    }

    @Test
    func `What a dead worker had is taken by another, and what it brings later is dropped`() throws {
        let world = try World(["LEASE_SECONDS": "2"])
        // The first call brings half an answer, the second a whole one.
        let id = try world.backend.post(
            "[sandbox:slow ms=1500][sandbox:max-tokens times=1]", world.room, world.person)
        let first = try world.backend.worker()
        try eventually("the first call") { try world.backend.gemini().requests().count == 1 }
        first.signal(SIGSTOP)
        let second = try world.backend.worker()
        try eventually("the second call") { try world.backend.gemini().requests().count == 2 }
        // It works again, with its answer in hand, while the reply is another's.
        first.signal(SIGCONT)
        #expect(try world.backend.reply(id, world.room, world.person)["status"] == "done")
        let reasons = try world.database.rows(
            String.self, "select finish_reason from messages where role = 'model'")
        #expect(reasons == ["STOP"])
        #expect(try world.jobs() == 0)
        second.kill()
        try second.wait()
        #expect(try world.ask("Hello", in: world.backend.room(world.person))["status"] == "done")
    }

    @Test
    func `What is over is deleted when it starts`() throws {
        let world = try World()
        try world.database.script(
            """
            insert into cache values ('old', 'x', now() - interval '1 second'), ('new', 'x', now() + interval '1 hour');
            insert into otps (mobile, purpose, code_hash, expires_at) values
                ('+911111111', 'reset', 'x', now() - interval '2 days'), ('+912222222', 'reset', 'x', now());
            """)
        let worker = try world.backend.worker(seconds: 1)
        #expect(try worker.wait() == .code(0))
        #expect(try world.database.rows(String.self, "select key from cache") == ["new"])
        #expect(
            try world.database.rows(String.self, "select mobile from otps where purpose = 'reset'") == ["+912222222"])
    }

    @Test
    func `Without a key it ends with one line that names the setting`() throws {
        let backend = try Backend()
        let worker = try Executable("cron-worker", environment: backend.settings, folder: backend.folder.path)
        #expect(try worker.wait() == .code(78))
        #expect(worker.error.contains("GEMINI_API_KEY") && worker.error.split(separator: "\n").count == 1)
    }
}

/// Somebody with a room.
private struct World {
    let backend: Backend
    let person: Backend.Person
    let room: String
    let database: Database

    init(_ settings: [String: String] = [:]) throws {
        backend = try Backend(settings)
        person = try backend.signIn()
        room = try backend.room(person)
        database = backend.database.connect()
    }

    /// Posts a message and waits for its reply.
    func ask(_ content: String, in room: String? = nil) throws -> JSONValue {
        let room = room ?? self.room
        return try backend.reply(backend.post(content, room, person), room, person)
    }

    /// Posts messages in a room each and waits for the replies.
    func askAll(_ contents: [String]) throws -> [JSONValue] {
        let posts = try contents.map { content in
            let room = try backend.room(person)
            return (try backend.post(content, room, person), room)
        }
        return try posts.map { try backend.reply($0, $1, person) }
    }

    func jobs() throws -> Int? { try database.row(Int.self, "select count(*) from jobs") }
}
