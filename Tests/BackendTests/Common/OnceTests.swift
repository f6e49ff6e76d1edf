import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct OnceTests {
    let backend: Backend
    let person: Backend.Person
    let database: Database

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        database = backend.database.connect()
    }

    @Test
    func `A repeat gets the first answer, byte for byte, and nothing is done again`() throws {
        let body: JSONValue = ["title": #"quote " and naïve 😀"#, "system_instruction": "Be brief."]
        let first = try create(body, key: "one")
        #expect(first.status == 201 && first.header("Idempotent-Replay") == nil)
        // Nor does it matter what has become of it.
        try database.execute("update chatrooms set title = 'Another'")
        for _ in 0..<2 {
            let again = try create(body, key: "one")
            #expect(again.status == 201 && again.body == first.body)
            #expect(again.header("Idempotent-Replay") == "true")
        }
        #expect(try rooms() == 1)
        let other = try create(body, key: "two")
        #expect(other.status == 201 && other.json["id"] != first.json["id"])
        #expect(try create(body, key: nil).json["id"] != first.json["id"])
        #expect(try rooms() == 3)
    }

    @Test
    func `Fifty at once are one, whichever process is asked`() throws {
        let backend = try Backend(processes: 4)
        let person = try backend.signIn()
        let answers = try concurrently(50) { _ in
            try backend.call(
                "create-chatroom", token: person.token, body: ["title": "Travel"],
                headers: ["Idempotency-Key": "fifty"])
        }
        #expect(answers.allSatisfy { $0.status == 201 })
        #expect(Set(answers.map(\.body)).count == 1)
        #expect(answers.count { $0.header("Idempotent-Replay") == nil } == 1)
        #expect(try backend.database.connect().row(Int.self, "select count(*) from chatrooms") == 1)
    }

    @Test
    func `Another request with the same key is refused`() throws {
        let first = try create(["title": "Travel"], key: "one")
        expectProblem(try create(["title": "Work"], key: "one"), 422, "idempotency_mismatch")
        #expect(try create(["title": "Travel"], key: "one").body == first.body)
        #expect(try rooms() == 1)
        // The same path and body at another endpoint.
        try database.execute("update idempotency_keys set endpoint = 'another'")
        expectProblem(try create(["title": "Travel"], key: "one"), 422, "idempotency_mismatch")
    }

    @Test
    func `A key belongs to its user`() throws {
        let other = try backend.signIn()
        let first = try create(["title": "Travel"], key: "one")
        let theirs = try backend.call(
            "create-chatroom", token: other.token, body: ["title": "Work"], headers: ["Idempotency-Key": "one"])
        #expect(theirs.status == 201 && theirs.json["id"] != first.json["id"])
    }

    @Test(arguments: ["", "naïve", "tab\there", "\u{7F}", String(repeating: "x", count: 256)])
    func `A key that is none is refused`(key: String) throws {
        expectProblem(try create([:], key: key), 400, "idempotency_key_malformed")
        #expect(try rooms() == 0)
    }

    @Test(arguments: ["a", "\"quoted\" ' $1 ;--", String(repeating: "~", count: 255)])
    func `Any other is a key`(key: String) throws {
        let first = try create([:], key: key)
        #expect(first.status == 201)
        #expect(try create([:], key: key).body == first.body)
    }

    @Test(arguments: [false, true])
    func `Who repeats a request that is being carried out waits, though not for long`(isKept: Bool) throws {
        let first = backend.database.connect()
        try first.script("begin")
        #expect(try first.row(Bool.self, "select is_first(\(person.id), 'one')") == true)
        let least = try quickest(below: 4) {
            try seconds { expectProblem(try create([:], key: "one"), 409, "idempotency_running") }
        }
        #expect((1.5...4).contains(least))
        // Another key waits for nothing.
        #expect(try create([:], key: "two").status == 201)
        try first.script("rollback")

        var answer: Answer
        var number = 0
        repeat {
            number += 1
            let key = "patient \(number)"
            try first.script("begin")
            #expect(try first.row(Bool.self, "select is_first(\(person.id), \(key))") == true)
            if isKept {
                try first.execute(
                    """
                    insert into idempotency_keys (user_id, key, endpoint, body_hash, answer)
                    values (\(person.id), \(key), 'create-chatroom', 'of another', '0')
                    """)
            }
            let patient = try FastCGI(backend.endpoint("create-chatroom").listener.path)
            patient.sendRequest(
                Backend.parameters(
                    token: person.token, length: 2, type: "application/json", headers: ["Idempotency-Key": key]),
                body: Array("{}".utf8))
            try eventually("its wait, or its end where this thread looks too late") {
                try patient.hasAnswer
                    || database.row(
                        Int.self,
                        """
                        select count(*) from pg_stat_activity
                        where wait_event = 'advisory' and datname = current_database()
                        """) == 1
            }
            try first.script(isKept ? "commit" : "rollback")
            answer = try patient.answer()
        } while answer.status == 409 && number < 6
        if isKept { expectProblem(answer, 422, "idempotency_mismatch") } else { #expect(answer.status == 201) }
    }

    @Test
    func `What was refused may be sent again with its key`() throws {
        let backend = try Backend(["PLAN_BASIC_MODELS": "gemini-3.8-flash"])
        let person = try backend.signIn()
        func create() throws -> Answer {
            try backend.call(
                "create-chatroom", token: person.token, body: ["model": "gemini-3.5-flash-lite"],
                headers: ["Idempotency-Key": "one"])
        }
        expectProblem(try create(), 402, "plan_forbids")
        try backend.upgrade(person)
        let made = try create()
        #expect(made.status == 201 && made.header("Idempotent-Replay") == nil)
        #expect(try create().body == made.body)
    }

    @Test
    func `A key is forgotten after a day, and purged`() throws {
        let first = try create([:], key: "one")
        _ = try create([:], key: "two")
        try database.execute(
            "update idempotency_keys set expires_at = now() - interval '1 hour' where key = 'one'")
        let next = try create(["title": "Work"], key: "one")
        #expect(next.status == 201 && next.json["id"] != first.json["id"])
        #expect(try create(["title": "Work"], key: "one").body == next.body)
        try database.execute(
            "update idempotency_keys set expires_at = now() - interval '1 hour' where key = 'one'")
        let worker = try backend.worker()
        try eventually("the purge") {
            try database.rows(String.self, "select key from idempotency_keys") == ["two"]
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `What was answered is told only while the session lives`() throws {
        _ = try create([:], key: "one")
        #expect(try backend.call("logout", token: person.token).status == 204)
        expectProblem(try create([:], key: "one"), 401, "session_ended")
    }

    private func create(_ body: JSONValue, key: String?) throws -> Answer {
        try backend.call(
            "create-chatroom", token: person.token, body: body, headers: key.map { ["Idempotency-Key": $0] } ?? [:])
    }

    private func rooms() throws -> Int? { try database.row(Int.self, "select count(*) from chatrooms") }
}
