import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct DeleteMeTests {
    let backend: Backend

    init() throws { backend = try Backend(["OTP_RESEND_SECONDS": "0"], processes: 2) }

    // MARK: What is left

    @Test
    func `Not a row of theirs is left in any table, and nobody else loses one`() throws {
        let (theirs, others) = (try lived(), try lived())
        let tables = try backend.database.tables(with: "user_id").filter { !$0.contains("unowned_events") }
        let database = backend.database.connect()
        for table in tables {
            let count = try database.row(
                Int.self, "select count(*) from \(SQL(made: table)) where user_id = \(theirs.id)::uuid")
            #expect(count ?? 0 > 0, "\(table) has none to be deleted: let lived() make one")
        }
        let before = try rows(of: others)
        #expect(before.count > tables.count)

        let answer = try backend.call("delete-me", token: theirs.token, body: ["password": "correct horse"])
        #expect(answer.status == 204 && answer.body.isEmpty)
        #expect(try rows(of: theirs) == [])
        #expect(try rows(of: others) == before)
    }

    @Test
    func `Stripe is told, and told again until it has heard; what is paid for ends`() throws {
        let shop = try Shop()
        let mobile = Backend.mobile()
        _ = try shop.backend.call("signup", body: ["mobile": .string(mobile), "password": "correct horse"])
        let person = try shop.backend.signIn(mobile: mobile, password: "correct horse")
        try shop.buy(person)
        let worker = try shop.backend.worker()
        try eventually("Pro") { try shop.tier(person) == "pro" }
        let customer = try #require(try shop.database.row(String.self, "select customer from stripe_customers"))
        #expect(try shop.subscribe(shop.backend.signIn()).status == 201)
        for kind in ["error", "lost", "slow", "down"] {
            try shop.control("faults", ["kind": kind, "path": "/v1/customers", "ms": "100", "times": "1"])
        }
        let answer = try shop.backend.call("delete-me", token: person.token, body: ["password": "correct horse"])
        #expect(answer.status == 204)
        let dump = try shop.backend.database.dump()
        #expect(dump.filter { $0.contains(person.id) || $0.contains(person.mobile) } == [])
        try eventually("the end of the subscription") {
            try shop.theirs().allSatisfy { $0.contains(" canceled ") }
        }
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        // Nothing of Stripe's news of it is theirs.
        try eventually("all news") { try shop.control("deliveries", method: "GET")["pending"] == 0 }
        #expect(try shop.backend.database.dump().filter { $0.contains(customer) } == [])
        #expect(try shop.database.row(Int.self, "select count(*) from stripe_customers") == 1)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A code that was sent to them does too`() throws {
        let person = try backend.signIn()
        let code = try sent(person)
        #expect(try delete(person, otp: code).status == 204)
        #expect(try rows(of: person) == [])
    }

    @Test
    func `The number can be signed up anew at once`() throws {
        let person = try lived()
        #expect(try delete(person, password: "correct horse").status == 204)
        let again = try backend.call(
            "signup", body: ["mobile": .string(person.mobile), "password": "another horse"])
        #expect(again.status == 201)
        let anew = try backend.signIn(mobile: person.mobile)
        #expect(anew.id != person.id)
        #expect(try backend.call("list-chatrooms", token: anew.token).json["chatrooms"] == [])
        expectProblem(try backend.call("get-me", token: person.token), 401, "session_ended")
    }

    // MARK: Proof

    @Test
    func `A wrong password deletes nothing`() throws {
        let person = try lived()
        // But for the count of tries.
        func kept() throws -> [String] { try rows(of: person).filter { !$0.contains("login_failures") } }
        let before = try kept()
        for password in ["wrong horse", "", "correct horse ", "Correct horse"] {
            expectProblem(try delete(person, password: password), 401, "credentials_invalid", password)
        }
        #expect(try kept() == before)
    }

    @Test
    func `Who has no password has no right one`() throws {
        let person = try backend.signIn()
        expectProblem(try delete(person, password: ""), 401, "credentials_invalid")
        expectProblem(try delete(person, password: "correct horse"), 401, "credentials_invalid")
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `Wrong codes are counted, and the fifth is the last`() throws {
        let person = try backend.signIn()
        let code = try sent(person)
        for left in [4, 3, 2, 1, 0] {
            let answer = try delete(person, otp: code == "000000" ? "000001" : "000000")
            expectProblem(answer, 401, "otp_invalid")
            #expect(answer.json["attempts_left"].number == Double(left))
        }
        let late = try delete(person, otp: code)
        expectProblem(late, 401, "otp_invalid")
        #expect(late.json["attempts_left"] == 0)
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `A code may be separated, is no try where it is none, and one that arrives late says so`() throws {
        let person = try backend.signIn()
        let (late, current) = (try sent(person), try sent(person))
        if late != current { expectProblem(try delete(person, otp: late), 401, "otp_superseded") }
        for text in ["", "12345", "abcdef"] {
            let answer = try delete(person, otp: text)
            expectProblem(answer, 422, "invalid", text)
            #expect(answer.json["errors"][0]["field"] == "otp")
        }
        #expect(
            try backend.database.connect().row(Int.self, "select max(attempts) from otps where expires_at > now()") == 0
        )
        #expect(try delete(person, otp: "\(current.prefix(3)) \(current.suffix(3))").status == 204)
    }

    @Test
    func `Another's code is a wrong one`() throws {
        let (person, other) = (try backend.signIn(), try backend.signIn())
        let (own, code) = (try sent(person), try sent(other))
        if own != code { expectProblem(try delete(person, otp: code), 401, "otp_invalid") }
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `Without a proof nothing is deleted`() throws {
        let person = try backend.signIn()
        let bodies: [JSONValue] = [[:], ["password": .null], ["otp": .null, "password": .null]]
        for body in bodies {
            let answer = try backend.call("delete-me", token: person.token, body: body)
            expectProblem(answer, 422, "invalid")
            #expect(answer.json["errors"][0]["field"] == "password")
        }
        expectProblem(try backend.call("delete-me", body: ["password": "x"]), 401, "token_missing")
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `The second time there is no session`() throws {
        let person = try lived()
        #expect(try delete(person, password: "correct horse").status == 204)
        expectProblem(try delete(person, password: "correct horse"), 401, "session_ended")
    }

    @Test
    func `Of eight at once one deletes`() throws {
        let backend = backend
        let person = try lived()
        let answers = try concurrently(8) { _ in
            try backend.call("delete-me", token: person.token, body: ["password": "correct horse"])
        }
        #expect(answers.filter { $0.status == 204 }.count == 1)
        for answer in answers where answer.status != 204 { expectProblem(answer, 401, "session_ended") }
    }

    // MARK: What is under way

    @Test
    func `What is being sent, made and read at that moment leaves nothing behind`() throws {
        let worker = try backend.worker(seconds: 600, ["TITLES": "on", "CONTEXT_TOKENS": "100"])
        let backend = backend
        for _ in 0..<6 {
            let person = try lived(isAnswered: false)
            let rooms = try (0..<4).map { _ in try backend.room(person) }
            let (ended, begun) = (Latch(), Counter())
            let statuses = try concurrently(11) { index -> [Int] in
                if index == 8 {
                    try eventually("all others") { begun.count == 10 }
                    usleep(.random(in: 0...200_000))
                    let answer = try backend.call(
                        "delete-me", token: person.token, body: ["password": "correct horse"])
                    ended.set()
                    return [answer.status]
                }
                var statuses: [Int] = []
                while !ended.isSet {
                    let name = [9: "create-chatroom", 10: "list-chatrooms"][index] ?? "send-message"
                    let body: JSONValue = ["content": "[sandbox:chunks n=20 ms=5] \(index)"]
                    statuses.append(
                        try backend.call(
                            name, room: rooms[index % 4], token: person.token, body: index == 10 ? nil : body
                        ).status)
                    if statuses.count == 1 { _ = begun.next() }
                }
                return statuses
            }
            #expect(statuses[8] == [204])
            let others = statuses.enumerated().filter { $0.offset != 8 }
            #expect(others.allSatisfy { $0.element.first ?? 0 < 300 }, "they began before it")
            #expect(Set(others.flatMap(\.element)).isSubset(of: [200, 201, 202, 401, 404]), "\(statuses)")
            #expect(try rows(of: person) == [])
            // Nor does the worker bring anything later.
            usleep(300_000)
            #expect(try rows(of: person) == [])
        }
        worker.terminate()
        #expect(try worker.wait() == .code(0))
        #expect(!worker.error.contains("\"level\":\"error\""), "\(worker.error)")
        #expect(try backend.database.connect().row(Int.self, "select count(*) from jobs") == 0)
    }

    @Test
    func `The calls for their replies are ended`() throws {
        let person = try lived(isAnswered: false)
        let room = try backend.room(person)
        _ = try backend.post("[sandbox:hang ms=60000]", room, person)
        let worker = try backend.worker()
        try eventually("the call") {
            try backend.gemini().requests().contains { $0.turns.last?.contains("hang") ?? false }
        }
        #expect(try delete(person, password: "correct horse").status == 204)
        // A worker that is told to end waits 8 s for calls that are under way.
        usleep(1_000_000)
        let took = try seconds {
            worker.terminate()
            let exit = try worker.wait()
            #expect(exit == .code(0))
        }
        #expect(took < 8)
    }

    @Test
    func `Where one room is deleted, whoever sends to it waits and finds it gone, and other rooms go on`() throws {
        let person = try backend.signIn()
        let (gone, kept) = (try backend.room(person), try backend.room(person))
        for room in [gone, kept] { _ = try backend.post("Hello", room, person) }
        let database = backend.database.connect()
        let (backend, sent) = (backend, Latch())
        let statuses = try concurrently(2) { index -> Int in
            guard index == 0 else {
                try eventually("the deletion") { sent.isSet }
                return try backend.call("send-message", room: gone, token: person.token, body: ["content": "x"]).status
            }
            let database = backend.database.connect()
            return try database.transaction {
                try database.execute("select begin_deletion(\(person.id)::uuid, \(gone)::uuid)")
                sent.set()
                try eventually("a sender who waits") {
                    try backend.database.connect().row(
                        Int.self,
                        "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"
                    )
                        == 1
                }
                return try database.execute("delete from chatrooms where id = \(gone)::uuid")
            }
        }
        #expect(statuses == [1, 404])
        #expect(try database.rows(String.self, "select lane from jobs") == [kept])
    }

    // MARK: -

    /// Somebody with a password who has used everything.
    private func lived(isAnswered: Bool = true) throws -> Backend.Person {
        let mobile = Backend.mobile()
        _ = try backend.call(
            "signup", body: ["mobile": .string(mobile), "username": "Asha", "password": "correct horse"])
        let person = try backend.signIn(mobile: mobile, password: "correct horse")
        guard isAnswered else { return person }
        let room = try backend.room(person, ["title": "Travel"])
        _ = try backend.call(
            "create-chatroom", token: person.token, body: [:], headers: ["Idempotency-Key": "once"])
        let reply = try backend.post("Hello", room, person)
        _ = try backend.upload(Files.png, person)
        _ = try backend.call("share-chatroom", room: room, token: person.token, body: [:])
        let database = backend.database.connect()
        try database.execute(
            """
            with job as (delete from jobs where id = \(reply)::uuid)
            update messages set status = 'done', content = 'Hi' where id = \(reply)::uuid
            """)
        _ = try backend.call("regenerate-reply", room: room, message: reply, token: person.token)
        _ = try backend.call("list-chatrooms", token: person.token)
        _ = try backend.call("export-me", token: person.token)
        _ = try sent(person)
        // What only workers write, and what is kept by the number.
        try database.execute("insert into search_entries values (\(person.id), \(room), \(reply), 'hi')")
        try database.execute("insert into usage_days values (\(person.id), current_date, 1, 10, 20, 30)")
        try database.execute("insert into request_rates values (\(person.id), 'rooms', now())")
        try database.execute("insert into deltas values (\(person.id), \(reply), 1, 0, 'Hi')")
        try database.execute(
            """
            insert into summaries (user_id, chatroom_id, upto, content, tokens)
            values (\(person.id), \(room), \(reply), 'They said hello', 3)
            """)
        try database.execute(
            "insert into otp_sends values ('mobile:' || \(mobile), array[now()]) on conflict do nothing")
        try database.execute(
            "insert into login_failures values ('mobile:' || \(mobile), 1, now(), now()) on conflict do nothing")
        // Of paying. The customer's id is Stripe's, and in the job that has it deleted there.
        try database.execute(
            """
            with customer as (
                insert into stripe_customers (user_id, customer) values (\(person.id)::uuid, 'cus_' || md5(\(person.id)))
                returning user_id
            ), checkout as (insert into checkouts (user_id) values (\(person.id))
            ), grant_of as (insert into pro_grants (user_id, until) values (\(person.id), now())
            ), event as (
                insert into stripe_events (id, type, customer, created_at)
                values ('evt_' || md5(\(person.id)), 'invoice.paid', 'cus_' || md5(\(person.id)), now())
            )
            insert into subscriptions (user_id, id, status, livemode, cancel_at_period_end, is_paid, created_at, grace, seen_at)
            select user_id, 'sub_' || md5(\(person.id)), 'active', false, false, true, now(), '3 days', now() from customer
            """)
        return person
    }

    /// Every row in which their id or their number stands.
    private func rows(of person: Backend.Person) throws -> [String] {
        try backend.database.dump().filter { $0.contains(person.id) || $0.contains(person.mobile) }.sorted()
    }

    private func sent(_ person: Backend.Person) throws -> String {
        try #require(try backend.call("send-otp", body: ["mobile": .string(person.mobile)]).json["otp"].text)
    }

    private func delete(_ person: Backend.Person, password: String? = nil, otp: String? = nil) throws -> Answer {
        var body: [String: JSONValue] = [:]
        body["password"] = password.map { .string($0) }
        body["otp"] = otp.map { .string($0) }
        return try backend.call("delete-me", token: person.token, body: .object(body))
    }
}
