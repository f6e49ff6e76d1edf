import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct RateLimitTests {
    @Test
    func `A minute's worth may come at once, and then one at a time`() throws {
        let backend = try Backend(["LIMITS": "on", "RATE_ROOMS": "5"])
        let person = try backend.signIn()
        let began = now()
        for left in [4, 3, 2, 1, 0] {
            let answer = try create(backend, person)
            #expect(answer.status == 201)
            #expect(answer.header("RateLimit-Policy") == "\"rooms\";q=5;w=60")
            // It is all to be had again 12 s for each after the first.
            let standing = try #require(answer.header("RateLimit"))
            #expect(standing.hasPrefix("\"rooms\";r=\(left);t="))
            let seconds = try #require(Int(standing.split(separator: "=").last ?? ""))
            let least = (5 - left) * 12 - 1 - Int(now() - began)
            #expect((least...(5 - left) * 12).contains(seconds))
        }
        let refused = try create(backend, person)
        expectProblem(refused, 429, "rate_limited")
        let wait = try #require(refused.header("Retry-After").flatMap { Int($0) })
        #expect((1...12).contains(wait))
        #expect(refused.header("RateLimit") == "\"rooms\";r=0;t=\(wait)")
        // Who is refused is not held back for longer, and what they would have done is not done.
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from chatrooms") == 5)
        try database.execute("update request_rates set free_at = free_at - interval '12 seconds'")
        #expect(try create(backend, person).status == 201)
        expectProblem(try create(backend, person), 429, "rate_limited")
        try database.execute("update request_rates set free_at = free_at - interval '1 hour'")
        #expect(try create(backend, person).header("RateLimit")?.hasPrefix("\"rooms\";r=4;") == true)
    }

    @Test
    func `Of fifty at once no more pass than may, whichever process is asked`() throws {
        let backend = try Backend(["LIMITS": "on", "RATE_ROOMS": "20"], processes: 4)
        let person = try backend.signIn()
        let began = now()
        let statuses = try concurrently(50) { _ in try create(backend, person).status }
        let passed = Int(now() - began)
        let made = try backend.database.connect().row(Int.self, "select count(*) from chatrooms")
        // One more for each three seconds that it took.
        #expect((20...20 + passed / 3 + 1).contains(made ?? 0))
        #expect(statuses.count { $0 == 201 } == made && statuses.count { $0 == 429 } == 50 - (made ?? 0))
    }

    @Test
    func `Each user and each kind is counted by itself`() throws {
        let backend = try Backend(["LIMITS": "on", "RATE_ROOMS": "1", "RATE_ACCOUNT": "1"])
        let (person, other) = (try backend.signIn(), try backend.signIn())
        #expect(try create(backend, person).status == 201)
        expectProblem(try create(backend, person), 429, "rate_limited")
        #expect(try create(backend, other).status == 201)
        func rename() throws -> Answer {
            try backend.call("update-me", token: person.token, body: ["username": "Asha"])
        }
        #expect(try rename().header("RateLimit-Policy") == "\"account\";q=1;w=60")
        expectProblem(try rename(), 429, "rate_limited")
    }

    @Test
    func `A repeat that gets the first answer is not counted`() throws {
        let backend = try Backend(["LIMITS": "on", "RATE_ROOMS": "1"])
        let person = try backend.signIn()
        let answers = try (0..<3).map { _ in
            try backend.call(
                "create-chatroom", token: person.token, body: [:], headers: ["Idempotency-Key": "one"])
        }
        #expect(answers.map(\.status) == [201, 201, 201] && answers[2].body == answers[0].body)
        #expect(answers[1].header("RateLimit") == nil)
    }

    @Test
    func `Without a limit nothing is counted and no header sent`() throws {
        for settings in [["LIMITS": "on", "RATE_ROOMS": "0"], ["LIMITS": "off", "RATE_ROOMS": "1"]] {
            let backend = try Backend(settings)
            let person = try backend.signIn()
            for _ in 0..<3 {
                let answer = try create(backend, person)
                #expect(answer.status == 201 && answer.header("RateLimit") == nil)
            }
            #expect(try backend.database.connect().row(Int.self, "select count(*) from request_rates") == 0)
        }
    }

    @Test
    func `An export is counted, and its headers come before its body`() throws {
        let backend = try Backend(["LIMITS": "on", "RATE_EXPORT": "1"])
        let person = try backend.signIn()
        let first = try backend.call("export-me", token: person.token)
        #expect(first.status == 200 && first.header("RateLimit")?.hasPrefix("\"export\";r=0;") == true)
        expectProblem(try backend.call("export-me", token: person.token), 429, "rate_limited")
        let recorded = try backend.database.connect().row(
            Int.self, "select count(*) from security_events where kind = 'exported'")
        #expect(recorded == 1)
    }

    @Test
    func `What is refused after it was counted tells its sender so, and nobody else`() throws {
        let backend = try Backend(["LIMITS": "on"])
        let person = try backend.signIn()
        let stranger = try backend.signIn()
        #expect(try backend.call("logout", token: stranger.token).status == 204)
        let refused = try backend.call("update-me", token: person.token, body: ["timezone": "Europe/Nowhere"])
        expectProblem(refused, 422)
        #expect(refused.header("RateLimit")?.hasPrefix("\"account\";") == true)
        let next = try backend.call("update-me", token: stranger.token, body: ["timezone": "Europe/Lisbon"])
        expectProblem(next, 401)
        #expect(next.header("RateLimit") == nil)
    }

    @Test
    func `What is over is purged`() throws {
        let backend = try Backend(["LIMITS": "on"])
        let people = [try backend.signIn(), try backend.signIn()]
        for person in people { #expect(try create(backend, person).status == 201) }
        let database = backend.database.connect()
        try database.execute(
            "update request_rates set free_at = now() + interval '1 hour' where user_id = \(people[0].id)::uuid")
        try database.execute(
            "update request_rates set free_at = now() - interval '1 second' where user_id = \(people[1].id)::uuid")
        let worker = try backend.worker()
        try eventually("the purge") {
            try database.rows(String.self, "select user_id from request_rates") == [people[0].id]
        }
        withExtendedLifetime(worker) {}
    }
}

private func create(_ backend: Backend, _ person: Backend.Person) throws -> Answer {
    try backend.call("create-chatroom", token: person.token, body: [:])
}
