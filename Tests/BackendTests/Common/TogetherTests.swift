import Common
import Foundation
import TestSupport
import Testing

/// Requests that one process finds waiting for it at once, and begins together: each gets what it would get alone.
@Suite(.threads)
struct TogetherTests {
    /// One of them.
    struct Wish: Sendable {
        var room: String?
        var token: String
        var body: JSONValue?
        var headers: [String: String] = [:]

        init(get token: String, headers: [String: String] = [:]) { (self.token, self.headers) = (token, headers) }

        init(_ content: String, to room: String, _ token: String, key: String? = nil, attachments: [String] = []) {
            (self.room, self.token) = (room, token)
            let list: JSONValue = .array(attachments.map { .string($0) })
            body =
                attachments.isEmpty
                ? ["content": .string(content)] : ["content": .string(content), "attachments": list]
            if let key { headers["Idempotency-Key"] = key }
        }
    }

    /// A person and their room.
    struct Sender: Sendable {
        let person: Backend.Person
        let room: String

        /// Somebody who has sent a message today.
        init(_ backend: Backend) throws {
            person = try backend.signIn()
            room = try backend.room(person)
            try backend.moveToNoon(person)
            _ = try backend.post("The first", room, person)
        }

        func wish(_ content: String, key: String? = nil) -> Wish { Wish(content, to: room, person.token, key: key) }
    }

    static let limited = [
        "LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "6", "PLAN_BASIC_MESSAGES_PER_MINUTE": "60",
    ]

    /// Sends them to a process that stands still and then finds them in this order.
    func begin(_ wishes: [Wish], _ name: String, of backend: Backend) throws -> [FastCGI] {
        let endpoint = try backend.endpoint(name)
        endpoint.processes[0].signal(SIGSTOP)
        defer { endpoint.processes[0].signal(SIGCONT) }
        return try wishes.map { wish in
            let connection = try FastCGI(endpoint.listener.path)
            let bytes = wish.body?.bytes ?? []
            connection.sendRequest(
                Backend.parameters(
                    room: wish.room, token: wish.token, length: bytes.count,
                    type: wish.body == nil ? "" : "application/json", headers: wish.headers),
                body: bytes)
            return connection
        }
    }

    func send(_ wishes: [Wish], _ backend: Backend) throws -> [Answer] {
        try begin(wishes, "send-message", of: backend).map { try $0.answer() }
    }

    /// What is stored of the messages that begin so: the transactions that wrote them, and their contents in order.
    func stored(_ start: String, _ backend: Backend) throws -> (transactions: Int, contents: [String]) {
        let rows = try backend.database.connect().rows(
            [String: String].self,
            "select xmin::text as by, content from messages where content like \(start) || '%' order by id")
        return (Set(rows.compactMap { $0["by"] }).count, rows.compactMap { $0["content"] })
    }

    /// What is left of the minute.
    func remaining(_ answer: Answer) -> Int? {
        answer.header("RateLimit")?.firstMatch(of: /"minute";r=(\d+);/).flatMap { Int($0.1) }
    }

    // MARK: Messages

    @Test(arguments: [false, true])
    func `Messages are stored in one transaction, and each sender gets their own answer`(haveKeys: Bool) throws {
        let backend = try Backend(TogetherTests.limited)
        let senders = try (0..<4).map { _ in try Sender(backend) }
        let wishes = (0..<16).map { number in
            // What must not be taken for the syntax of an array.
            senders[number % 4].wish("Number \(100 + number) \",{}\\ ' NULL", key: haveKeys ? "key \(number)" : nil)
        }
        let answers = try send(wishes, backend)
        for (number, answer) in answers.enumerated() {
            #expect(answer.status == 202, "\(answer.text)")
            #expect(answer.json["message"]["content"] == wishes[number].body?["content"])
            #expect(answer.json["message"]["chatroom_id"].text == senders[number % 4].room)
            #expect(answer.json["quota"]["used"].number == Double(2 + number / 4))
            #expect(answer.header("RateLimit")?.contains("\"day\";r=\(4 - number / 4);") == true)
            // Each has taken one more of the minute than the one before.
            #expect(remaining(answer) == remaining(answers[number % 4]).map { $0 - number / 4 })
        }
        let (transactions, contents) = try stored("Number", backend)
        #expect(transactions == 1)
        #expect(contents.count == 16 && contents.sorted() == wishes.compactMap { $0.body?["content"].text })
        for sender in senders {
            // In the order in which they came, each with its own reply and receipt.
            let list = try backend.call("list-messages", room: sender.room, token: sender.person.token).json
            let own = list["messages"].list.compactMap { $0["content"].text }.filter { $0.hasPrefix("Number") }
            #expect(own.count == 4 && (own == own.sorted() || own == own.sorted().reversed()))
            #expect(list["messages"].list.count == 10)
            let usage = try backend.call("get-usage", token: sender.person.token).json
            #expect(usage["daily"]["used"].number == 5)
        }
        let quotas = try Quotas(Conversation(of: backend, senders[0].person, senders[0].room))
        try quotas.expectAgreement(used: 5)
        #expect(try quotas.count("jobs") == 20)
        #expect(try quotas.count("idempotency_keys") == (haveKeys ? 16 : 0))
        // And each key has its own answer.
        if haveKeys {
            let repeats = try send(wishes, backend)
            #expect(repeats.map(\.text) == answers.map(\.text))
            #expect(repeats.allSatisfy { $0.header("Idempotent-Replay") == "true" })
            #expect(try quotas.count("messages") == 40)
        }
    }

    @Test
    func `Whatever is among them, each gets the answer that it would get alone`() throws {
        let backend = try Backend(TogetherTests.limited)
        let senders = try (0..<5).map { _ in try Sender(backend) }
        let (anybody, spent, gone, few, busy) = (senders[0], senders[1], senders[2], senders[3], senders[4])
        for number in 0..<5 { _ = try backend.post("Early \(number)", spent.room, spent.person) }
        for number in 0..<2 { _ = try backend.post("Early \(number)", few.room, few.person) }
        let fresh = try backend.signIn()
        let freshRoom = try backend.room(fresh)
        #expect(try backend.call("logout", token: gone.person.token).status == 204)
        let file = try backend.upload(Files.png, busy.person)
        var broken = anybody.wish("")
        broken.body = ["content": 1]

        let answers = try send(
            [
                anybody.wish("Late 1"), spent.wish("Late 2"), gone.wish("Late 3"), broken,
                Wish("Late 4", to: spent.room, anybody.person.token), anybody.wish("Late 5", key: "one"),
                anybody.wish("Late 5", key: "one"), anybody.wish("Late 6", key: "one"),
                few.wish("Late 7"), few.wish("Late 7"), few.wish("Late 7"), few.wish("Late 7"), few.wish("Late 7"),
                Wish("Late 8", to: busy.room, busy.person.token, attachments: [file]),
                Wish("Late 9", to: freshRoom, fresh.token), Wish("Late 10", to: freshRoom, fresh.token + "x"),
            ], backend)
        #expect(answers[0].status == 202 && answers[13].status == 202 && answers[14].status == 202)
        expectProblem(answers[1], 429, "daily_limit_reached")
        expectProblem(answers[2], 401, "session_ended")
        expectProblem(answers[3], 422)
        expectProblem(answers[4], 404, "not_found")
        #expect(answers[5].status == 202 && answers[5].body == answers[6].body)
        #expect(answers[5...6].count { $0.header("Idempotent-Replay") != nil } == 1)
        expectProblem(answers[7], 422, "idempotency_mismatch")
        #expect(answers[8...12].count { $0.status == 202 } == 3)
        for refused in answers[8...12] where refused.status != 202 {
            expectProblem(refused, 429, "daily_limit_reached")
        }
        #expect(Set(answers[8...12].compactMap { $0.json["quota"]["used"].number }) == [4, 5, 6])
        #expect(answers[13].json["message"]["attachments"].list.count == 1)
        expectProblem(answers[15], 401)
        let contents = try stored("Late", backend).contents
        #expect(contents.sorted() == ["Late 1", "Late 5", "Late 7", "Late 7", "Late 7", "Late 8", "Late 9"])
        try Quotas(Conversation(of: backend, few.person, few.room)).expectAgreement(used: 6)
    }

    @Test
    func `One that Postgres refuses takes none of the others with it, and none is stored twice`() throws {
        let backend = try Backend()
        let senders = try (0..<5).map { _ in try Sender(backend) }
        try backend.database.connect().script(
            """
            create function refuse() returns trigger language plpgsql as $$
            begin raise exception 'no'; end $$;
            create trigger refuse before insert on messages for each row when (new.content = 'Number 2')
            execute function refuse()
            """)
        let answers = try send(senders.enumerated().map { $1.wish("Number \($0)") }, backend)
        #expect(answers.map(\.status) == [202, 202, 500, 202, 202])
        let (transactions, contents) = try stored("Number", backend)
        #expect(transactions == 4)
        #expect(contents.sorted() == ["Number 0", "Number 1", "Number 3", "Number 4"])
    }

    @Test
    func `A key that is held elsewhere is waited for when the others are answered`() throws {
        let backend = try Backend()
        let senders = try (0..<3).map { _ in try Sender(backend) }
        let holder = backend.database.connect()
        try holder.script("begin")
        #expect(try holder.row(Bool.self, "select is_first(\(senders[0].person.id), 'one')") == true)
        let waiting = try begin(senders.map { $0.wish("Hello", key: "one") }, "send-message", of: backend)
        #expect(try waiting[1...].map { try $0.answer().status } == [202, 202])
        #expect(!waiting[0].hasAnswer)
        expectProblem(try waiting[0].answer(), 409, "idempotency_running")

        // For whom it is not, nobody waits.
        #expect(try backend.call("logout", token: senders[0].person.token).status == 204)
        let answers = try send(
            senders.map { $0.wish("Again", key: $0.room == senders[0].room ? "one" : "two") }, backend)
        expectProblem(answers[0], 401, "session_ended")
        #expect(answers[1...].map(\.status) == [202, 202])
        #expect(try stored("Again", backend).transactions == 1)
        try holder.script("rollback")
        #expect(try stored("Hello", backend).contents.count == 2)
    }

    @Test
    func `A repeat that comes with the first costs the others nothing`() throws {
        let backend = try Backend()
        let senders = try (0..<3).map { _ in try Sender(backend) }
        let wishes = senders.map { $0.wish("Hello", key: "one") }
        let answers = try send(wishes + wishes, backend)
        for number in 0..<3 {
            #expect(answers[number].status == 202 && answers[number].header("Idempotent-Replay") == nil)
            #expect(answers[number + 3].body == answers[number].body)
            #expect(answers[number + 3].header("Idempotent-Replay") == "true")
        }
        let (transactions, contents) = try stored("Hello", backend)
        #expect(transactions == 1 && contents.count == 3)
    }

    /// Has the first and then the second begin while the list that is kept for `user` can be forgotten by nobody, and so waits for it.
    /// Whether each lot of the messages that begin with `start` was stored in one transaction, as it is where nobody waits for each
    /// other.
    func areQuick(
        _ start: String, lots: Int, _ user: String, of backend: Backend, first: @escaping () throws -> [FastCGI],
        second: @escaping () throws -> [FastCGI]
    ) throws -> Bool {
        let (holder, watcher) = (backend.database.connect(), backend.database.connect())
        try holder.script("begin")
        try holder.execute("select from cache where key = 'rooms:' || \(user)::text for update")
        var waiting: [FastCGI] = []
        for (number, begin) in [first, second].enumerated() {
            waiting += try begin()
            try eventually("its wait") {
                try watcher.row(
                    Int.self,
                    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
                )
                    == number + 1
            }
        }
        try holder.script("commit")
        for connection in waiting { #expect(try connection.answer().status == 202) }
        return try stored(start, backend).transactions == lots
    }

    @Test
    func `Two processes that begin the same users' messages do not wait for each other`() throws {
        let first = try Backend()
        let second = try Backend(database: first.database)
        let senders = try (0..<2).map { _ in try Sender(first) }.sorted { $0.person.id < $1.person.id }
        _ = try second.post("Hello", senders[0].room, senders[0].person)
        // Who was held up for half a second has begun again one by one: then it is tried once more.
        let isQuick = try (1...6).contains { number in
            for sender in senders { _ = try first.call("list-chatrooms", token: sender.person.token) }
            let wishes = senders.map { $0.wish("Race \(number)") }
            return try areQuick("Race \(number)", lots: 2, senders[0].person.id, of: first) {
                try begin(wishes, "send-message", of: first)
            } second: {
                try begin(wishes.reversed(), "send-message", of: second)
            }
        }
        #expect(isQuick)
    }

    @Test
    func `Nor do they and who deletes what is too old`() throws {
        let backend = try Backend()
        let senders = try (0..<2).map { _ in try Sender(backend) }.sorted { $0.person.id < $1.person.id }
        let database = backend.database.connect()
        let isQuick = try (1...6).contains { number in
            for (number, sender) in senders.enumerated() {
                _ = try backend.call("list-chatrooms", token: sender.person.token)
                try database.execute(
                    """
                    with old as (
                        insert into messages (user_id, chatroom_id, id, role, content, status, created_at)
                        select \(sender.person.id)::uuid, \(sender.room)::uuid, uuidv7(at), 'user', 'Old', 'done', at
                        from (select now() - interval '3 days' as at) n
                    )
                    update chatrooms set retention_days = 1, sweep_at = now() - make_interval(hours => \(number)::int)
                    where user_id = \(sender.person.id)::uuid
                    """)
            }
            let isSwept = Latch()
            let isQuick = try areQuick("Race \(number)", lots: 1, senders[0].person.id, of: backend) {
                try begin(senders.reversed().map { $0.wish("Race \(number)") }, "send-message", of: backend)
            } second: {
                let sweeping = backend.database
                Thread.detachNewThread {
                    #expect(throws: Never.self) { try sweeping.connect().execute("select sweep_messages(100)") }
                    isSwept.set()
                }
                return []
            }
            try eventually("the end of the sweep") { isSwept.isSet }
            return isQuick
        }
        #expect(isQuick)
        #expect(try stored("Old", backend).contents == [])
    }

    @Test
    func `Where the connection is lost, none is stored and all are told to come again`() throws {
        let backend = try Backend()
        let senders = try (0..<5).map { _ in try Sender(backend) }
        let holder = backend.database.connect()
        try holder.script("begin; lock table messages in share mode")
        let waiting = try begin(senders.map { $0.wish("Hello") }, "send-message", of: backend)
        try eventually("its end") {
            try holder.row(
                Int.self,
                """
                select count(pg_terminate_backend(pid)) from pg_stat_activity
                where wait_event_type = 'Lock' and datname = current_database()
                """) == 1
        }
        for connection in waiting { expectProblem(try connection.answer(), 503) }
        try holder.script("commit")
        #expect(try stored("Hello", backend).contents == [])
        #expect(try send(senders.map { $0.wish("Hello") }, backend).map(\.status) == Array(repeating: 202, count: 5))
        #expect(try stored("Hello", backend).transactions == 1)
    }

    @Test(arguments: [nil, "one"], [false, true])
    func `Who has to wait keeps nobody waiting`(key: String?, isFirst: Bool) throws {
        let backend = try Backend()
        let (quick, slow) = (try Sender(backend), try Sender(backend))
        let holder = backend.database.connect()
        try holder.script("begin")
        try holder.execute("select pg_advisory_xact_lock(uuid_hash_extended(\(slow.person.id), 1))")
        // With a key it is of another kind.
        let wishes = [slow.wish("Hello", key: key), quick.wish("Hello")]
        let waiting = try begin(isFirst ? wishes : wishes.reversed(), "send-message", of: backend)
        #expect(try waiting[isFirst ? 1 : 0].answer().status == 202)
        #expect(!waiting[isFirst ? 0 : 1].hasAnswer)
        try holder.script("rollback")
        #expect(try waiting[isFirst ? 0 : 1].answer().status == 202)
        #expect(try stored("Hello", backend).contents.count == 2)
    }

    @Test(arguments: [["PREPARED_STATEMENTS": "off"], ["REQUESTS_TOGETHER": "1"]])
    func `Behind a pooler, or where it is wished so, each is begun by itself`(settings: [String: String]) throws {
        let backend = try Backend(settings)
        let senders = try (0..<3).map { _ in try Sender(backend) }
        let answers = try send(senders.map { $0.wish("Hello") }, backend)
        #expect(answers.map(\.status) == [202, 202, 202])
        #expect(try stored("Hello", backend).transactions == 3)
    }

    // MARK: Reading

    @Test
    func `Each reader gets what is theirs`() throws {
        let backend = try Backend()
        let people = try (0..<6).map { _ in try backend.signIn() }
        for person in people { _ = try backend.room(person, ["title": .string("Of \(person.id)")]) }
        let tags = try people.map { try #require(try backend.call("list-chatrooms", token: $0.token).header("ETag")) }
        #expect(try backend.call("logout", token: people[1].token).status == 204)

        let wishes = people.map { Wish(get: $0.token) } + [Wish(get: "forged")]
        let users = try begin(wishes, "get-me", of: backend).map { try $0.answer() }
        let lists = try begin(
            wishes + [Wish(get: people[0].token, headers: ["If-None-Match": tags[0]])], "list-chatrooms", of: backend
        ).map { try $0.answer() }
        for (number, person) in people.enumerated() where number != 1 {
            #expect(users[number].json["user"]["id"].text == person.id)
            #expect(lists[number].json["chatrooms"].list.map { $0["title"].text } == ["Of \(person.id)"])
            #expect(lists[number].header("ETag") == tags[number] && lists[number].header("X-Cache") == "hit")
        }
        for answers in [users, lists] {
            expectProblem(answers[1], 401, "session_ended")
            expectProblem(answers[6], 401)
        }
        #expect(lists[7].status == 304)
    }

    @Test
    func `Without Postgres all are told so after one attempt`() throws {
        let backend = try Backend()
        let person = try backend.signIn()
        let away = try Backend(["DATABASE_URL": "host=/nonexistent"])
        _ = try away.call("get-me", token: person.token)
        let answers = try begin((0..<8).map { _ in Wish(get: person.token) }, "get-me", of: away)
        for connection in answers { expectProblem(try connection.answer(), 503) }
    }
}

extension Conversation {
    /// One that is there already.
    init(of backend: Backend, _ person: Backend.Person, _ room: String) {
        (self.backend, self.person, self.room) = (backend, person, room)
        database = backend.database.connect()
    }
}
