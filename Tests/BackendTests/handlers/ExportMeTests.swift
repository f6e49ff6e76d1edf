import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct ExportMeTests {
    let backend: Backend
    let person: Backend.Person
    let database: Database

    init() throws {
        // A busy machine is no reader who takes nothing.
        backend = try Backend(["READER_PATIENCE_SECONDS": "600"])
        person = try backend.signIn()
        database = backend.database.connect()
    }

    @Test
    func `Everything of theirs is there, an object a line, and nothing of another's`() throws {
        let other = try backend.signIn()
        for somebody in [person, other] {
            let room = try backend.room(somebody, ["title": "Travel"])
            let reply = try backend.post("Hello, \"naïve\"\n😀", room, somebody)
            try database.execute(
                "with job as (delete from jobs) update messages set status = 'done' where id = \(reply)::uuid")
            _ = try backend.call("regenerate-reply", room: room, message: reply, token: somebody.token)
            try database.execute(
                """
                insert into summaries (user_id, chatroom_id, upto, content, tokens)
                values (\(somebody.id), \(room), \(reply), 'They said hello', 3)
                """)
            _ = try backend.upload(Files.png, somebody)
            try database.execute("insert into usage_days values (\(somebody.id), current_date, 1, 10, 20, 30)")
            try database.execute(
                "insert into idempotency_keys values (\(somebody.id), 'one', 'create-chatroom', '', '0')")
            try database.execute(
                """
                with customer as (
                    insert into stripe_customers (user_id, customer) values (\(somebody.id)::uuid, 'cus_' || md5(\(somebody.id)))
                    returning user_id
                ), checkout as (insert into checkouts (user_id) values (\(somebody.id))
                ), grant_of as (insert into pro_grants (user_id, until) values (\(somebody.id), now())
                ), event as (
                    insert into stripe_events (id, type, customer, created_at)
                    values ('evt_' || md5(\(somebody.id)), 'invoice.paid', 'cus_' || md5(\(somebody.id)), now())
                )
                insert into subscriptions (user_id, id, status, livemode, cancel_at_period_end, is_paid, created_at, grace, seen_at)
                select user_id, 'sub_' || md5(\(somebody.id)), 'active', false, false, true, now(), '3 days', now() from customer
                """)
            _ = try backend.call("share-chatroom", room: room, token: somebody.token, body: [:])
        }
        let answer = try backend.call("export-me", token: person.token)
        #expect(answer.status == 200 && answer.header("Content-Type") == "application/x-ndjson")
        #expect(answer.header("Content-Disposition") == "attachment; filename=\"export.ndjson\"")
        // nginx may keep what a slow reader has not taken.
        #expect(answer.header("X-Accel-Buffering") == nil && answer.header("Content-Length") == nil)
        #expect(answer.text.hasSuffix("\n"))
        let lines = try answer.text.split(separator: "\n").map { try #require(JSONValue(Array($0.utf8))) }
        let counts = Dictionary(grouping: lines) { $0["type"].text ?? "" }.mapValues(\.count)
        #expect(
            counts == [
                "user": 1, "session": 1, "security_event": 2, "chatroom": 1, "message": 3, "branch": 2, "summary": 1,
                "share": 1, "attachment": 1, "attachment_piece": 1,
                "usage": 1, "ledger_entry": 2, "idempotency_key": 1,
                "stripe_customer": 1, "subscription": 1, "checkout": 1, "stripe_event": 1, "pro_grant": 1, "end": 1,
            ])
        #expect(lines.last?["type"] == "end" && lines[0]["type"] == "user" && lines[0]["mobile"].text == person.mobile)
        let messages = lines.filter { $0["type"] == "message" }
        #expect(messages.map { $0["content"].text } == ["Hello, \"naïve\"\n😀", "", ""])
        #expect(Set(messages.map { $0["branch"].number }) == [0, 1])
        #expect(!answer.text.contains(other.id) && !answer.text.contains(other.mobile))
    }

    @Test
    func `Of a reply that is being written there is what has come`() throws {
        let conversation = try Conversation()
        let sent = try conversation.send("Hello")
        try conversation.begin(sent.reply, deltas: [(1, 0, "so far")])
        let answer = try conversation.backend.call("export-me", token: conversation.person.token)
        #expect(answer.text.contains("\"content\":\"so far\",\"status\":\"running\""))
    }

    @Test
    func `Files are in it whole, in pieces of base64 that follow each other`() throws {
        let file = Files.png(of: 300_000)
        let id = try backend.upload(file, person, name: "a.png")
        _ = try backend.send("Look", [id], to: backend.room(person), person)
        let lines = try backend.call("export-me", token: person.token).text.split(separator: "\n")
            .compactMap { JSONValue(Array($0.utf8)) }
        let described = try #require(lines.first { $0["type"] == "attachment" })
        #expect(described["id"].text == id && described["name"] == "a.png" && described["media_type"] == "image/png")
        #expect(lines.first { $0["type"] == "message" }?["attachments"] == [.string(id)])
        let pieces = lines.filter { $0["type"] == "attachment_piece" && $0["attachment_id"].text == id }
        #expect(pieces.map { $0["number"].number } == [0, 1, 2, 3])
        #expect(Data(base64Encoded: pieces.compactMap { $0["base64"].text }.joined()) == Data(file))
    }

    @Test
    func `Hashes are not part of it`() throws {
        let mobile = Backend.mobile()
        _ = try backend.call("signup", body: ["mobile": .string(mobile), "password": "correct horse"])
        let person = try backend.signIn(mobile: mobile, password: "correct horse")
        let hashes = try database.rows(
            String.self,
            """
            select password_hash from users where password_hash is not null
            union all select refresh_hash from sessions union all select code_hash from otps
            """)
        #expect(hashes.count >= 4)
        let text = try backend.call("export-me", token: person.token).text
        #expect(!text.contains("_hash") && !text.contains("argon2"))
        for hash in hashes { #expect(!text.contains(hash)) }
    }

    @Test
    func `That it was taken is recorded for its owner`() throws {
        _ = try backend.call("export-me", token: person.token, headers: ["User-Agent": "curl/8"])
        let kept = try database.row(
            String.self,
            "select concat_ws(' ', kind, ip, user_agent) from security_events where kind = 'exported'")
        #expect(kept == "exported 127.0.0.1 curl/8")
    }

    // MARK: Long ones

    @Test
    func `200 MB go through a process that stays under 30 MB`() throws {
        try fill(20_000, of: 10_000)
        var count = 0
        let connection = try begin()
        while let bytes = try connection.receive(1 << 20) { count += bytes.count }
        #expect(count > 200_000_000)
        let process = try backend.endpoint("export-me").processes[0]
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let peak = try #require(status.firstMatch(of: /VmHWM:\s*([0-9]+) kB/).flatMap { Int($0.output.1) })
        #expect(peak < 30_000, "\(peak) kB at its peak")
        print("export of \(count) bytes: \(peak) kB at the peak")
    }

    @Test
    func `The longest messages there are do too`() throws {
        // A control character takes six bytes in JSON.
        try fill(200, of: 32_000, character: "\u{1}")
        let answer = try backend.call("export-me", token: person.token)
        #expect(answer.body.count > 200 * 32_000 * 6)
        let process = try backend.endpoint("export-me").processes[0]
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let peak = try #require(status.firstMatch(of: /VmHWM:\s*([0-9]+) kB/).flatMap { Int($0.output.1) })
        #expect(peak < 60_000, "\(peak) kB at its peak")
    }

    @Test
    func `Many files do too`() throws {
        try database.execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users on conflict do nothing")
        let file = Files.png(of: 10 << 20)
        for _ in 0..<4 { _ = try backend.upload(file, person) }
        var count = 0
        let connection = try begin()
        while let bytes = try connection.receive(1 << 20) { count += bytes.count }
        #expect(count > 55_000_000)
        let peak = try backend.peak("export-me")
        #expect(peak < 60_000, "\(peak) kB at its peak")
        print("export with 40 MB of files: \(peak) kB at the peak")
    }

    @Test
    func `It is of one moment, however long it is read`() throws {
        try fill(2_000, of: 10_000)
        let connection = try begin()
        var received = try #require(try connection.receive())
        try eventually("its reader to be waited for") { try transactions() == 1 }
        try fill(10, of: 10, named: "later")
        try database.execute("delete from messages where content not like 'later%'")
        while let bytes = try connection.receive() { received += bytes }
        let text = String(decoding: try #require(FastCGI.output(in: received)), as: UTF8.self)
        #expect(text.matches(of: /"type":"message"/).count == 2_000 && !text.contains("later"))
    }

    @Test
    func `A user has one export at a time`() throws {
        let backend = try Backend(["READER_PATIENCE_SECONDS": "600"], database: backend.database, processes: 2)
        try fill(2_000, of: 10_000)
        let connection = try begin(of: backend)
        _ = try connection.receive()
        let refused = try backend.call("export-me", token: person.token)
        expectProblem(refused, 429, "export_running")
        #expect(refused.header("Retry-After") == "10")
        #expect(try database.row(Int.self, "select count(*) from security_events where kind = 'exported'") == 1)
        #expect(try backend.call("export-me", token: backend.signIn().token).status == 200)
        while try connection.receive(1 << 20) != nil {}
        #expect(try backend.call("export-me", token: person.token).status == 200)
    }

    @Test
    func `A reader who takes nothing any more is let go`() throws {
        let backend = try impatient()
        try fill(2_000, of: 10_000)
        let began = now()
        let connection = try begin(of: backend)
        _ = try connection.receive()
        // The one process has others to see to. By default it would have half a minute's patience.
        #expect(try backend.call("export-me", token: backend.signIn().token).status == 200)
        #expect((0.5..<25).contains(now() - began))
        try eventually("the end of its transaction") { try transactions() == 0 }
        var received: [UInt8] = []
        while let bytes = try connection.receive() { received += bytes }
        #expect(FastCGI.output(in: received) == nil, "it ends as if it were whole")
    }

    @Test
    func `So is one who takes it drop by drop`() throws {
        let backend = try impatient()
        try fill(10_000, of: 10_000)
        for attempt in 1... {
            let connection = try begin(of: backend)
            let began = now()
            var (last, longest) = (began, 0.0)
            while try connection.receive(60_000) != nil {
                longest = max(longest, now() - last)
                last = now()
                usleep(100_000)
            }
            let took = last - began
            // To take it all takes 160 s and more. A pause of a second has another end: where this thread was held up so long, again.
            guard longest < 0.8 || attempt == 5 else { continue }
            #expect((19..<80).contains(took), "\(took) s, with \(longest) s between two drops")
            break
        }
        try eventually("the end of its transaction") { try transactions() == 0 }
    }

    @Test
    func `One who leaves is not waited for`() throws {
        try fill(2_000, of: 10_000)
        let stranger = try backend.signIn()
        _ = try backend.call("export-me", token: stranger.token)
        let connection = try begin()
        _ = try connection.receive()
        connection.hangUp()
        let answer = try backend.call("export-me", token: stranger.token, seconds: 300)
        #expect(answer.status == 200)
        try eventually("the end of its transaction") { try transactions() == 0 }
    }

    @Test
    func `Where Postgres is lost in the middle, the end is missing, and the next one is whole`() throws {
        try fill(2_000, of: 10_000)
        let connection = try begin()
        var received = try #require(try connection.receive())
        try eventually("its reader to be waited for") { try transactions() == 1 }
        try database.execute(
            """
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and state = 'idle in transaction'
            """)
        while let bytes = try connection.receive() { received += bytes }
        #expect(received.count > 1_000 && FastCGI.output(in: received) == nil)
        // nginx takes a mere close for the end.
        #expect(received.suffix(8) == [0, 0, 0, 0, 0, 0, 0, 0])
        let process = try backend.endpoint("export-me").processes[0]
        #expect(process.isRunning && process.error.contains("answer cut short"))
        let answer = try backend.call("export-me", token: person.token)
        #expect(answer.text.matches(of: /"type":"message"/).count == 2_000)
    }

    // MARK: -

    private func fill(_ count: Int, of length: Int, character: String = "x", named name: String = "") throws {
        try database.execute(
            """
            with room as (insert into chatrooms (user_id) values (\(person.id)) returning user_id, id)
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at)
            select user_id, id, uuidv7(clock_timestamp()), 'user',
                \(name) || repeat(\(character), \(length)::int), 'done', now()
            from room cross join generate_series(1, \(count)::int)
            """)
    }

    /// One that waits for a second for who takes nothing.
    private func impatient() throws -> Backend {
        try Backend(["READER_PATIENCE_SECONDS": "1"], database: backend.database)
    }

    /// Asks for an export and leaves the reading to the test.
    private func begin(of other: Backend? = nil) throws -> FastCGI {
        let connection = try FastCGI((other ?? backend).endpoint("export-me").listener.path)
        connection.sendRequest(Backend.parameters(token: person.token))
        return connection
    }

    /// Exports that are under way in Postgres.
    private func transactions() throws -> Int {
        try database.row(
            Int.self,
            """
            select count(*) from pg_stat_activity
            where datname = current_database() and state = 'idle in transaction'
            """) ?? -1
    }
}
