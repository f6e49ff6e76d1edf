import Common
import Foundation
import TestSupport
import Testing

/// The messages of a day: whoever sends, whatever dies, no more are accepted than may be, and the ledger knows why.
@Suite(.threads)
struct QuotaTests {
    static let basic = ["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_MINUTE": "0"]

    // MARK: Exactly

    @Test
    func `Of a hundred messages at once of somebody with five left, five are accepted`() throws {
        // Waiting for the hold is given up by no handler, and seven of eight processes cannot take all that is sent.
        let patient = ["STATEMENT_TIMEOUT_MS": "600000", "REQUESTS_TOGETHER": "8"]
        let world = try Quotas(QuotaTests.basic.merging(patient) { $1 }, processes: 8)
        let isHeld = Latch()
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
        let isOver = Latch()
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
        let isOver = Latch()
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
                    "charge 0 done", "refund -1 \(blocked["error"]["code"].text ?? "")", "refund -1 request_refused",
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
        let world = try Quotas(conversation)
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
        let world = try Quotas(conversation)
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

    @Test
    func `What is continued counts too, once for a repeated request, and is given back where nothing more comes`()
        throws
    {
        let conversation = try Conversation(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "2"])
        let world = try Quotas(conversation)
        let sent = try conversation.send("one")
        try conversation.settle()
        try conversation.database.execute("update messages set finish_reason = 'MAX_TOKENS' where role = 'model'")
        func go() throws -> Answer {
            try conversation.call("continue-reply", sent.reply, headers: ["Idempotency-Key": "on"])
        }
        let made = try go()
        #expect(made.status == 202 && made.json["quota"]["used"] == 2)
        let repeated = try go()
        #expect(repeated.body == made.body && repeated.header("Idempotent-Replay") == "true")
        expectProblem(try conversation.call("continue-reply", sent.reply), 429, "daily_limit_reached")
        let cancelled = try conversation.call("cancel-reply", made.json["reply"]["id"].text)
        #expect(cancelled.json["status"] == "cancelled" && cancelled.json["content"] == made.json["reply"]["content"])
        #expect(
            try world.ledger().sorted() == [
                "refund -1 cancelled", "reserve 1 continue", "reserve 1 message",
            ])
        try world.expectAgreement(used: 1)
    }
}
