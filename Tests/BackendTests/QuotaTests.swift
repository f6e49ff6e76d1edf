import Common
import Foundation
import TestSupport
import Testing

/// The messages of a day: whoever sends, whatever dies, no more are accepted than may be, and the ledger knows why.
@Suite(.threads)
struct QuotaTests {
    private static let basic = ["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_MINUTE": "0"]

    // MARK: Exactly

    @Test
    func `Of a hundred messages at once of somebody with five left, five are accepted`() throws {
        // Waiting for the hold is given up by no handler.
        let patient = ["STATEMENT_TIMEOUT_MS": "600000"]
        let world = try Quotas(QuotaTests.basic.merging(patient) { $1 }, processes: 8)
        let isHeld = Flag()
        // Each process has judged one, or waits to, before the first may be stored.
        let answers = try concurrently(101) { index -> Answer? in
            if index == 0 { return try world.holdReceipts(until: 8, isHeld) }
            try eventually("the hold") { isHeld.isSet }
            return try world.send("Hello")
        }.compactMap { $0 }
        #expect(answers.count { $0.status == 202 } == 5)
        for refused in answers.filter({ $0.status != 202 }) { expectProblem(refused, 429, "daily_limit_reached") }
        #expect(Set(answers.filter { $0.status == 202 }.map { $0.json["quota"]["used"].number }) == [1, 2, 3, 4, 5])
        #expect(try world.count("messages") == 10)
        #expect(try world.count("jobs") == 5)
        #expect(try world.ledger() == Array(repeating: "reserve 1 message", count: 5))
        try world.expectAgreement(used: 5)
    }

    @Test
    func `The same while workers are killed, and what fails makes room for another`() throws {
        let settings = ["LEASE_SECONDS": "2", "REPLY_ATTEMPTS": "100"]
        let world = try Quotas(QuotaTests.basic.merging(settings) { $1 }, processes: 4)
        let isOver = Flag()
        // Some of what is accepted fails while others are still sent, so that more than five may be.
        let contents = ["[sandbox:error code=400]", "[sandbox:slow ms=50] Hello"]
        let accepted = try concurrently(2) { index -> Int in
            index == 0 ? try world.sendInRounds(contents + contents, isOver) : try world.killWorkers(until: isOver)
        }[0]
        let worker = try world.backend.worker()
        try eventually("the replies") { try world.count("jobs") == 0 }
        let done = try world.count("messages where role = 'model' and status = 'done'")
        let failed = try world.count("messages where role = 'model' and status = 'failed'")
        #expect(done <= 5 && done + failed == accepted && accepted >= 5)
        let kinds = try world.ledger().map { $0.prefix { $0 != " " } }
        #expect(kinds.count { $0 == "reserve" } == accepted)
        #expect(kinds.count { $0 == "charge" } == done && kinds.count { $0 == "refund" } == failed)
        try world.expectAgreement(used: done)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Kill -9 of the handlers leaves nothing half`() throws {
        let settings = ["PLAN_BASIC_MESSAGES_PER_DAY": "50", "PLAN_BASIC_MESSAGES_PER_MINUTE": "0"]
        let world = try Quotas(settings.merging(["LIMITS": "on"]) { $1 }, processes: 2)
        let isOver = Flag()
        let outcome = try concurrently(5) { index -> (answered: Int, died: Int) in
            guard index > 0 else {
                while !isOver.isSet {
                    for process in try world.backend.endpoint("send-message").processes {
                        usleep(.random(in: 5_000...100_000))
                        process.kill()
                        try process.wait()
                    }
                    try world.backend.revive("send-message")
                }
                return (0, 0)
            }
            defer { isOver.set() }
            var (answered, died) = (0, 0)
            // Until enough of both has been, however quick this machine is.
            while !isOver.isSet, answered < 10 || died < 5 {
                // Who dies does not answer.
                let answer = try? world.send("Hello", headers: ["Idempotency-Key": UUID().uuidString])
                if answer == nil { died += 1 } else { answered += 1 }
            }
            return (answered, died)
        }
        #expect(outcome.map(\.died).reduce(0, +) > 0)
        // What a dead handler had begun, Postgres may still be at.
        for process in try world.backend.endpoint("send-message").processes {
            process.kill()
            try process.wait()
        }
        try eventually("the end of what was begun") {
            try world.count(
                """
                pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
                """) == 0
        }
        let sent = try world.count("jobs")
        #expect(sent > 0 && sent <= 50)
        #expect(try world.count("messages") == 2 * sent && world.count("ledger") == sent)
        #expect(try world.count("idempotency_keys") == sent)
        try world.expectAgreement(used: sent)
    }

    @Test
    func `Fifty at once with one Idempotency-Key are one message with one reply`() throws {
        for settings in [["LIMITS": "off"], ["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"]] {
            let world = try Quotas(settings, processes: 4)
            let answers = try world.sendAtOnce(50, headers: ["Idempotency-Key": "fifty"])
            #expect(answers.allSatisfy { $0.status == 202 })
            #expect(Set(answers.map(\.body)).count == 1)
            #expect(Set(answers.map { $0.header("Location") }).count == 1)
            #expect(answers.count { $0.header("Idempotent-Replay") == nil } == 1)
            #expect(try world.count("messages") == 2 && world.count("jobs") == 1 && world.count("ledger") == 1)
            let worker = try world.backend.worker()
            let reply = try #require(answers[0].json["reply"]["id"].text)
            #expect(try world.backend.reply(reply, world.room, world.person)["status"] == "done")
            // Nor is it sent anew when it has been answered, and when there is none left.
            #expect(try world.send("Hello", headers: ["Idempotency-Key": "fifty"]).body == answers[0].body)
            expectProblem(
                try world.send("Bye", headers: ["Idempotency-Key": "fifty"]), 422, "idempotency_mismatch")
            #expect(try world.count("messages") == 2)
            try world.expectAgreement(used: 1)
            withExtendedLifetime(worker) {}
        }
    }

    // MARK: What is charged

    @Test
    func `A finished reply is charged with its tokens, one that failed is given back with its reason`() throws {
        let world = try Quotas(QuotaTests.basic)
        let worker = try world.backend.worker()
        let done = try world.ask("[sandbox:say] one")
        _ = try world.ask("[sandbox:error code=400]")
        let blocked = try world.ask("[sandbox:blocked]")
        #expect(blocked["status"] == "failed")
        #expect(
            try world.ledger().sorted()
                == [
                    "charge 0 done", "refund -1 \(blocked["error"]["code"].text ?? "")", "refund -1 internal",
                    "reserve 1 message", "reserve 1 message", "reserve 1 message",
                ].sorted())
        try world.expectAgreement(used: 1)
        let tokens = try world.database.row(
            String.self,
            """
            select concat_ws(' ', prompt_tokens, output_tokens, total_tokens) from ledger
            where message_id = \(done["id"].text) and kind = 'charge'
            """)
        let usage = done["usage"]
        let expected = ["prompt_tokens", "output_tokens", "total_tokens"].map { Int(usage[$0].number ?? -1) }
        #expect(tokens == expected.map(String.init).joined(separator: " "))
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Of what is cancelled only that is charged of which something had come`() throws {
        let conversation = try Conversation(["LIMITS": "on"])
        let world = Quotas(conversation)
        let (first, second, third) = (
            try conversation.send("one"), try conversation.send("two"), try conversation.send("three")
        )
        for sent in [first, second, third] {
            if sent == first { try conversation.begin(sent.reply, deltas: [(1, 0, "some")]) }
            if sent == second { try conversation.begin(sent.reply) }
            #expect(try conversation.call("cancel-reply", sent.reply).status == 200)
            _ = try conversation.call("cancel-reply", sent.reply)
        }
        #expect(
            try world.ledger().sorted() == [
                "charge 0 cancelled", "refund -1 cancelled", "refund -1 cancelled", "reserve 1 message",
                "reserve 1 message", "reserve 1 message",
            ])
        try world.expectAgreement(used: 1)
    }

    @Test
    func `When a room goes, what is open in it is given back`() throws {
        let world = try Quotas(QuotaTests.basic)
        let other = try world.backend.room(world.person)
        for _ in 0..<2 { #expect(try world.send("Hello").status == 202) }
        _ = try world.backend.post("Hello", other, world.person)
        #expect(try world.backend.call("delete-chatroom", room: world.room, token: world.person.token).status == 204)
        try world.expectAgreement(used: 1)
        #expect(try world.ledger().count { $0.hasPrefix("refund") } == 2)
    }

    @Test
    func `What is edited and regenerated counts too, and is refused like it`() throws {
        let conversation = try Conversation(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "3"])
        let world = Quotas(conversation)
        let sent = try conversation.send("one")
        try conversation.settle()
        let edited = try conversation.call(
            "edit-message", sent.question, body: ["content": "two"], headers: ["Idempotency-Key": "edit"])
        #expect(edited.json["quota"]["used"] == 2)
        let again = try conversation.call(
            "edit-message", sent.question, body: ["content": "two"], headers: ["Idempotency-Key": "edit"])
        #expect(again.body == edited.body && again.header("Idempotent-Replay") == "true")
        try conversation.settle()
        let reply = try #require(edited.json["reply"]["id"].text)
        let made = try conversation.call("regenerate-reply", reply, headers: ["Idempotency-Key": "anew"])
        #expect(made.json["quota"]["remaining"] == 0)
        #expect(
            try conversation.call("regenerate-reply", reply, headers: ["Idempotency-Key": "anew"]).body == made.body)
        try conversation.settle()
        let before = try conversation.backend.database.dump()
        expectProblem(try conversation.call("regenerate-reply", reply), 429, "daily_limit_reached")
        expectProblem(
            try conversation.call("edit-message", sent.question, body: ["content": "three"]), 429,
            "daily_limit_reached")
        #expect(try conversation.backend.database.dump() == before)
        #expect(
            try world.ledger().filter { $0.hasPrefix("reserve") }.sorted() == [
                "reserve 1 edit", "reserve 1 message", "reserve 1 regenerate",
            ])
        try world.expectAgreement(used: 3)
    }

    // MARK: The day

    @Test(arguments: ["UTC", "Asia/Kolkata", "Etc/GMT-14", "Etc/GMT+12", "America/New_York"])
    func `The day turns at midnight in the user's time zone`(zone: String) throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"])
        try world.move(to: zone)
        let answer = try world.send("Hello")
        let midnight = try #require(answer.json["quota"]["resets_at"].text)
        let (local, seconds) = try #require(
            try world.database.row(
                Midnight.self,
                """
                select to_char(\(midnight)::timestamptz at time zone \(zone), 'HH24:MI:SS') as local,
                    extract(epoch from \(midnight)::timestamptz - now())::int as seconds
                """)
        ).both
        #expect(local == "00:00:00" && (0...90_000).contains(seconds))
        let refused = try world.send("Hello")
        expectProblem(refused, 429, "daily_limit_reached")
        let wait = try #require(refused.header("Retry-After").flatMap { Int($0) })
        #expect((seconds - 10...seconds + 2).contains(wait))
        #expect(refused.header("RateLimit")?.hasPrefix("\"day\";r=0;t=\(wait)") == true)
        // A day later.
        try world.database.script(
            "update jobs set day = day - 1; update ledger set day = day - 1; update usage_days set day = day - 1")
        #expect(try world.send("Hello").status == 202)
        expectProblem(try world.send("Hello"), 429, "daily_limit_reached")
        try world.expectAgreement()
    }

    @Test
    func `Who moves to another zone has no day twice`() throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"])
        // It is never the same day in both.
        for zone in ["Etc/GMT-14", "Etc/GMT+12"] {
            try world.move(to: zone)
            #expect(try world.send("Hello").status == 202)
        }
        for zone in ["Etc/GMT-14", "Etc/GMT+12"] {
            try world.move(to: zone)
            expectProblem(try world.send("Hello"), 429, "daily_limit_reached")
        }
        try world.expectAgreement()
    }

    @Test
    func `A reply is charged to the day in which it was asked for`() throws {
        let world = try Quotas(QuotaTests.basic)
        #expect(try world.send("Hello").status == 202)
        try world.database.script("update jobs set day = day - 1; update ledger set day = day - 1")
        let worker = try world.backend.worker()
        try eventually("the reply") { try world.count("jobs") == 0 }
        #expect(
            try world.database.rows(Int.self, "select current_date - day from usage_days where charged = 1") == [1])
        try world.expectAgreement(used: 0)
        withExtendedLifetime(worker) {}
    }

    // MARK: The minute, and none

    @Test
    func `More than the minute's worth has to wait until there is room in it`() throws {
        let settings = ["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "0", "PLAN_BASIC_MESSAGES_PER_MINUTE": "3"]
        let world = try Quotas(settings, processes: 4)
        let began = now()
        let answers = try world.sendAtOnce(20)
        let passed = Int(now() - began) + 1
        #expect(answers.count { $0.status == 202 } == 3)
        for refused in answers.filter({ $0.status != 202 }) {
            expectProblem(refused, 429, "rate_limited")
            #expect((60 - passed...60).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
            #expect(refused.header("RateLimit-Policy") == "\"minute\";q=3;w=60")
        }
        // That it was given back makes no room, that time has passed does.
        let worker = try world.backend.worker()
        try eventually("the replies") { try world.count("jobs") == 0 }
        expectProblem(try world.send("Hello"), 429, "rate_limited")
        try world.database.execute(
            """
            update ledger set created_at = now() - interval '30 seconds'
            where id = (select id from ledger where kind = 'reserve' order by id limit 1)
            """)
        #expect((1...30).contains(try world.send("Hello").header("Retry-After").flatMap { Int($0) } ?? 0))
        try world.database.execute(
            """
            update ledger set created_at = now() - interval '60 seconds'
            where id = (select id from ledger where kind = 'reserve' order by id limit 1)
            """)
        let next = try world.send("Hello")
        #expect(next.status == 202 && next.header("RateLimit")?.hasPrefix("\"minute\";r=0;t=") == true)
        #expect(next.json["quota"]["limit"] == .null)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `How the limits stand is said of each plan, and nothing where there is none`() throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_PRO_MESSAGES_PER_DAY": "0", "PLAN_PRO_MESSAGES_PER_MINUTE": "0"])
        let basic = try world.send("Hello")
        #expect(basic.json["quota"]["limit"] == 5 && basic.json["quota"]["used"] == 1)
        #expect(basic.json["quota"]["remaining"] == 4)
        #expect(basic.header("RateLimit-Policy") == "\"day\";q=5;w=86400, \"minute\";q=10;w=60")
        #expect(basic.header("RateLimit")?.contains("\"minute\";r=9;t=60") == true)
        try world.backend.upgrade(world.person)
        for _ in 0..<12 {
            let pro = try world.send("Hello")
            #expect(pro.status == 202 && pro.header("RateLimit") == nil)
            #expect(pro.json["quota"].names == ["limit", "used", "remaining", "resets_at"])
            #expect(pro.json["quota"]["limit"] == .null && pro.json["quota"]["used"] == .null)
            #expect(pro.json["quota"]["resets_at"] == .null)
        }
        try world.expectAgreement(used: 13)
    }

    @Test
    func `Nothing that counts reads a table whole`() throws {
        let world = try Quotas(["LIMITS": "on"])
        try world.database.script("select pg_stat_reset()")
        for key in ["one", "one", "two"] { _ = try world.send("Hello", headers: ["Idempotency-Key": key]) }
        for endpoint in ["get-usage", "list-ledger"] {
            #expect(try world.backend.call(endpoint, token: world.person.token).status == 200)
        }
        // What a connection has counted is sure to be known when it has ended.
        for endpoint in ["send-message", "get-usage", "list-ledger"] {
            for process in try world.backend.endpoint(endpoint).processes {
                process.terminate()
                try process.wait()
            }
        }
        let names = "('ledger', 'usage_days', 'jobs', 'users', 'messages', 'idempotency_keys', 'chatrooms', 'sessions')"
        func tables(_ condition: String) throws -> [String] {
            try world.database.rows(
                String.self,
                SQL(made: "select relname from pg_stat_user_tables where relname in \(names) and \(condition)")
            )
        }
        try eventually("what they counted") { try tables("idx_scan > 0").count >= 6 }
        #expect(try tables("seq_scan > 0") == [])
    }

    @Test
    func `Nobody's quota is another's`() throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"])
        let other = try world.backend.signIn()
        #expect(try world.send("Hello").status == 202)
        #expect(try world.backend.post("Hello", world.backend.room(other), other) != "")
        expectProblem(try world.send("Hello"), 429, "daily_limit_reached")
    }
}

private struct Midnight: Decodable {
    let local: String
    let seconds: Int
    var both: (String, Int) { (local, seconds) }
}

/// Somebody who sends, and what the ledger makes of it. What needs `database` is not for several threads.
private struct Quotas: @unchecked Sendable {
    let backend: Backend
    let person: Backend.Person
    let room: String
    let database: Database

    init(_ settings: [String: String], processes: Int = 1) throws {
        self.init(try Conversation(settings, processes: processes))
    }

    init(_ conversation: Conversation) {
        (backend, person) = (conversation.backend, conversation.person)
        (room, database) = (conversation.room, conversation.database)
    }

    func send(_ content: String, headers: [String: String] = [:]) throws -> Answer {
        try backend.call(
            "send-message", room: room, token: person.token, body: ["content": .string(content)], headers: headers)
    }

    func sendAtOnce(_ count: Int, _ content: String = "Hello", headers: [String: String] = [:]) throws -> [Answer] {
        try concurrently(count) { _ in try send(content, headers: headers) }
    }

    /// Lets nobody reserve anything until so many requests wait for a lock; nil.
    func holdReceipts(until waiting: Int, _ isHeld: Flag) throws -> Answer? {
        let (holder, watcher) = (backend.database.connect(), backend.database.connect())
        try holder.script("begin; lock table ledger in share mode")
        isHeld.set()
        try eventually("those who wait") {
            try watcher.row(
                Int.self,
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
                == waiting
        }
        try holder.script("commit")
        return nil
    }

    /// Sends each of these 25 times at once; how many were accepted.
    func sendInRounds(_ contents: [String], _ isOver: Flag) throws -> Int {
        defer { isOver.set() }
        var accepted = 0
        for content in contents {
            let statuses = try sendAtOnce(25, content).map(\.status)
            #expect(Set(statuses).isSubset(of: [202, 429]))
            accepted += statuses.count { $0 == 202 }
            usleep(300_000)
            try expectAgreement()
        }
        return accepted
    }

    /// Starts workers and kills each a moment later; 0.
    func killWorkers(until isOver: Flag) throws -> Int {
        while !isOver.isSet {
            let worker = try backend.worker()
            usleep(.random(in: 50_000...400_000))
            worker.kill()
            try worker.wait()
        }
        return 0
    }

    func ask(_ content: String) throws -> JSONValue {
        try backend.reply(backend.post(content, room, person), room, person)
    }

    func move(to zone: String) throws {
        let answer = try backend.call("update-me", token: person.token, body: ["timezone": .string(zone)])
        #expect(answer.status == 200)
    }

    /// How many rows there are of `what`, a table and perhaps a condition.
    func count(_ what: String) throws -> Int {
        try backend.database.connect().row(Int.self, SQL(made: "select count(*) from \(what)")) ?? 0
    }

    /// Kind, amount and reason of the receipts, the oldest first.
    func ledger() throws -> [String] {
        try database.rows(
            String.self,
            "select concat_ws(' ', kind, amount, reason) from ledger where user_id = \(person.id)::uuid order by id")
    }

    /// The counter equals the ledger on every day, in one look at both; `used` is of the user's present day.
    func expectAgreement(used: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let differing = try backend.database.connect().rows(
            String.self,
            """
            select concat_ws(' ', l.day, l.sum, used_in_day(l.user_id, l.day))
            from (select user_id, day, sum(amount) from ledger group by user_id, day) l
            where l.sum <> used_in_day(l.user_id, l.day)
            """)
        #expect(differing == [], sourceLocation: sourceLocation)
        guard let used else { return }
        let usage = try backend.call("get-usage", token: person.token).json
        #expect(usage["daily"]["used"].number == Double(used), sourceLocation: sourceLocation)
    }
}

extension Conversation {
    /// Finishes all replies, as the worker would, with their receipts.
    fileprivate func settle() throws {
        try database.execute(
            """
            with done as (delete from jobs returning user_id, day), counted as (
                insert into usage_days as d select user_id, day, count(*), 0, 0, 0 from done group by user_id, day
                on conflict (user_id, day) do update set charged = d.charged + excluded.charged
            )
            update messages set status = 'done', content = 'answer', completed_at = now() where status = 'queued'
            """)
    }
}

/// Tells threads that it is over.
private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = false
    var isSet: Bool { lock.withLock { value } }
    func set() { lock.withLock { value = true } }
}
