import Common
import Foundation
import TestSupport
import Testing

/// `Idempotency-Key` where the work asks Stripe between its statements.
@Suite(.threads)
struct PayingOnceTests {
    private static let endpoints = ["subscribe-pro", "subscription-portal"]
    private static let paths = [
        "subscribe-pro": "/v1/checkout/sessions", "subscription-portal": "/v1/billing_portal/sessions",
    ]

    @Test
    func `A repeat gets the page that the first got, byte for byte, whatever has become of it`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        let first = try call(shop, "subscribe-pro", person, key: "one")
        #expect(first.status == 201 && first.header("Idempotent-Replay") == nil, "\(first.text)")
        expectReplay(try call(shop, "subscribe-pro", person, key: "one"), of: first)
        try shop.api("POST", "/v1/checkout/sessions/\(first.json["session_id"].text ?? "")/expire")
        expectReplay(try call(shop, "subscribe-pro", person, key: "one"), of: first)

        // Another request is another matter.
        let second = try call(shop, "subscribe-pro", person, key: "two")
        #expect(second.status == 201 && second.json["session_id"] != first.json["session_id"])
        try shop.press("pay", at: second.json["checkout_url"].text)
        expectReplay(try call(shop, "subscribe-pro", person, key: "two"), of: second)
        for _ in 0..<2 { expectProblem(try call(shop, "subscribe-pro", person, key: "three"), 409, "already_pro") }
        #expect(try keys(shop) == ["one", "two"])
        #expect(try shop.calls("POST", "/v1/checkout/sessions") == 2)
    }

    @Test
    func `A link to the portal is given again for a minute, while it leads there, and then another`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        expectProblem(try call(shop, "subscription-portal", person, key: "one"), 409, "no_subscription")
        try shop.buy(person)
        let first = try call(shop, "subscription-portal", person, key: "one")
        #expect(first.status == 201 && first.header("Idempotent-Replay") == nil, "\(first.text)")
        expectReplay(try call(shop, "subscription-portal", person, key: "one"), of: first)
        #expect(
            try shop.database.row(Bool.self, "select expires_at < now() + interval '1 minute' from idempotency_keys")
                == true)
        try shop.database.execute("update idempotency_keys set expires_at = expires_at - interval '1 minute'")
        let second = try call(shop, "subscription-portal", person, key: "one")
        #expect(second.status == 201 && second.header("Idempotent-Replay") == nil)
        #expect(second.json["url"] != first.json["url"])
        expectReplay(try call(shop, "subscription-portal", person, key: "one"), of: second)
        #expect(try shop.calls("POST", "/v1/billing_portal/sessions") == 2)
    }

    @Test(arguments: endpoints)
    func `Fifty at once are one, whichever process is asked`(endpoint: String) throws {
        let shop = try Shop(processes: 4)
        let person = try ready(shop, for: endpoint)
        let path = try #require(Self.paths[endpoint])
        let before = try shop.calls("POST", path)
        let answers = try concurrently(50) { _ in
            var answer: Answer
            repeat {
                answer = try shop.backend.call(endpoint, token: person.token, headers: ["Idempotency-Key": "fifty"])
            } while answer.json["code"] == "idempotency_running"
            return answer
        }
        #expect(answers.allSatisfy { $0.status == 201 }, "\(answers.map(\.text))")
        #expect(Set(answers.map(\.body)).count == 1)
        #expect(answers.count { $0.header("Idempotent-Replay") == nil } == 1)
        #expect(try shop.calls("POST", path) == before + 1)
        #expect(try shop.api("GET", "/v1/customers")["data"].list.count == 1)
    }

    @Test(arguments: endpoints)
    func `While Stripe is asked a repeat is refused, and nobody else waits`(endpoint: String) throws {
        try whileStripeIsAsked(endpoint, processes: 2) { shop, person, first in
            let others = try concurrently(3) { number in
                switch number {
                case 0: try shop.backend.call(endpoint, token: person.token, headers: ["Idempotency-Key": "one"])
                case 1: try shop.backend.call("update-me", token: person.token, body: ["username": "Asha"])
                default:
                    try shop.backend.call(
                        "create-chatroom", token: person.token, body: [:], headers: ["Idempotency-Key": "two"])
                }
            }
            guard !first.hasAnswer else { return false }
            let answer = try first.answer()
            guard answer.json["code"] != "stripe_unavailable" else { return false }
            expectProblem(others[0], 409, "idempotency_running")
            #expect(others[0].header("Retry-After") == "1")
            #expect(others[1].status == 200 && others[2].status == 201)
            #expect(answer.status == 201 && answer.header("Idempotent-Replay") == nil, "\(answer.text)")
            expectReplay(try call(shop, endpoint, person, key: "one"), of: answer)
            return true
        }
    }

    @Test(arguments: endpoints)
    func `Of a process that dies while it asks nothing is left, and the key is free`(endpoint: String) throws {
        try whileStripeIsAsked(endpoint) { shop, person, first in
            let process = try shop.backend.endpoint(endpoint).processes[0]
            process.kill()
            #expect(try process.wait() == .signal(SIGKILL))
            guard try first.output() == nil else { return false }
            try eventually("the end of its lock") { try locks(shop) == 0 }
            try shop.backend.revive(endpoint)
            let answer = try call(shop, endpoint, person, key: "one")
            // At Stripe the same is still under way.
            guard answer.json["code"] != "stripe_unavailable" else { return false }
            #expect(answer.status == 201 && answer.header("Idempotent-Replay") == nil, "\(answer.text)")
            expectReplay(try call(shop, endpoint, person, key: "one"), of: answer)
            #expect(try shop.api("GET", "/v1/customers")["data"].list.count == 1)
            #expect(try shop.api("GET", "/v1/checkout/sessions")["data"].list.count == 1)
            return true
        }
    }

    @Test(arguments: endpoints)
    func `What was done while the connection that holds the key was lost is found by whoever asks again`(
        endpoint: String
    ) throws {
        try whileStripeIsAsked(endpoint) { shop, person, first in
            let ended = try shop.database.row(
                Bool.self,
                """
                select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database
                where l.locktype = 'advisory' and d.datname = current_database()
                """)
            let answer = try first.answer()
            guard ended == true, answer.json["code"] == "unavailable" else { return false }
            expectProblem(answer, 503, "unavailable")
            #expect(try keys(shop).isEmpty)
            #expect(try call(shop, endpoint, person, key: "one").status == 201)
            #expect(try shop.api("GET", "/v1/checkout/sessions")["data"].list.count == 1)
            return true
        }
    }

    @Test(arguments: endpoints)
    func `An account may go while Stripe is asked, and takes the key with it`(endpoint: String) throws {
        try whileStripeIsAsked(endpoint) { shop, person, first in
            #expect(try shop.database.row(Bool.self, "select delete_user(\(person.id))") == true)
            let isInTime = !first.hasAnswer
            _ = try first.answer()
            #expect(try keys(shop).isEmpty)
            #expect(try locks(shop) == 0)
            return isInTime
        }
    }

    @Test(arguments: endpoints)
    func `What Stripe did not do is not kept: the key serves when it is back`(endpoint: String) throws {
        let shop = try Shop()
        let person = try ready(shop, for: endpoint)
        for kind in ["down", "error"] {
            try shop.control(
                "faults",
                ["kind": kind, "path": Self.paths[endpoint] ?? "", "times": kind == "error" ? "1" : "50"])
            expectProblem(try call(shop, endpoint, person, key: "one"), 503, "stripe_unavailable")
            #expect(try keys(shop).isEmpty)
            try shop.control("faults", method: "DELETE")
        }
        let answer = try call(shop, endpoint, person, key: "one")
        #expect(answer.status == 201 && answer.header("Idempotent-Replay") == nil, "\(answer.text)")
        expectReplay(try call(shop, endpoint, person, key: "one"), of: answer)
    }

    @Test(arguments: endpoints)
    func `Another request with the same key is refused, and so is a key that is none`(endpoint: String) throws {
        let shop = try Shop()
        let person = try ready(shop, for: endpoint)
        expectProblem(try call(shop, endpoint, person, key: "naïve"), 400, "idempotency_key_malformed")
        let first = try call(shop, endpoint, person, key: "one")
        let other = try shop.backend.call(
            endpoint, token: person.token, body: [:], headers: ["Idempotency-Key": "one"])
        expectProblem(other, 422, "idempotency_mismatch")
        let elsewhere = try #require(Self.endpoints.first { $0 != endpoint })
        expectProblem(try call(shop, elsewhere, person, key: "one"), 422, "idempotency_mismatch")
        expectReplay(try call(shop, endpoint, person, key: "one"), of: first)
        // Nor does a key outlive its session.
        try shop.database.execute("update sessions set ended_at = now()")
        expectProblem(try call(shop, endpoint, person, key: "one"), 401, "session_ended")
    }

    /// Somebody for whom the endpoint does its work; no key has been used.
    private func ready(_ shop: Shop, for endpoint: String) throws -> Backend.Person {
        let person = try shop.backend.signIn()
        if endpoint == "subscription-portal" { try shop.buy(person) }
        return person
    }

    private func call(_ shop: Shop, _ endpoint: String, _ person: Backend.Person, key: String) throws -> Answer {
        try shop.backend.call(endpoint, token: person.token, headers: ["Idempotency-Key": key])
    }

    /// Does something while Stripe takes 5 s for a request with the key `one`. Where it came too late, because much else runs on the
    /// machine, it is false and done again in another shop.
    private func whileStripeIsAsked(
        _ endpoint: String, processes: Int = 1, _ body: (Shop, Backend.Person, FastCGI) throws -> Bool
    ) throws {
        let path = try #require(Self.paths[endpoint])
        for _ in 0..<6 {
            let shop = try Shop(processes: processes)
            let person = try ready(shop, for: endpoint)
            let before = try shop.calls("POST", path)
            try shop.control("faults", ["kind": "slow", "ms": "5000", "path": path, "times": "1"])
            let request = try FastCGI(shop.backend.endpoint(endpoint).listener.path)
            request.sendRequest(Backend.parameters(token: person.token, headers: ["Idempotency-Key": "one"]))
            try eventually("the call to Stripe") { try shop.calls("POST", path) == before + 1 }
            if try body(shop, person, request) { return }
        }
        Issue.record("it came too late each time")
    }

    private func expectReplay(
        _ answer: Answer, of first: Answer, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(answer.status == 201 && answer.body == first.body, "\(answer.text)", sourceLocation: sourceLocation)
        #expect(answer.header("Idempotent-Replay") == "true", sourceLocation: sourceLocation)
    }

    private func keys(_ shop: Shop) throws -> [String] {
        try shop.database.rows(String.self, "select key from idempotency_keys order by key")
    }

    /// Advisory locks that are held in the shop's database.
    private func locks(_ shop: Shop) throws -> Int? {
        try shop.database.row(
            Int.self,
            """
            select count(*) from pg_locks l join pg_database d on d.oid = l.database
            where l.locktype = 'advisory' and d.datname = current_database()
            """)
    }
}
