import TestSupport
import Testing

@Suite(.threads)
struct RefreshSubscriptionTests {
    @Test
    func `Back from the payment one is Pro, whether an event came or not`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        #expect(try shop.tier(person) == "basic")
        let answer = try shop.backend.call("refresh-subscription", token: person.token)
        #expect(answer.status == 200 && answer.json["tier"] == "pro" && answer.json["status"] == "active")
        #expect(answer.text == (try shop.backend.call("subscription-status", token: person.token).text))
        #expect(try shop.theirs() == shop.ours())
    }

    @Test
    func `Stripe is asked once in 5 s for each user, of however many at once`() throws {
        let shop = try Shop(hears: false, processes: 4)
        let (person, other) = (try shop.backend.signIn(), try shop.backend.signIn())
        for person in [person, other] { #expect(try shop.subscribe(person).status == 201) }
        let before = try shop.calls("GET", "/v1/subscriptions")
        let began = now()
        let answers = try concurrently(8) { _ in try shop.backend.call("refresh-subscription", token: person.token) }
        let asked = answers.count { $0.status == 200 }
        // One more for each 5 s that it took.
        #expect((1...1 + Int((now() - began) / 5)).contains(asked))
        for answer in answers where answer.status != 200 {
            expectProblem(answer, 429, "refresh_too_soon")
            #expect((1...5).contains(Int(answer.header("Retry-After") ?? "") ?? 0))
        }
        #expect(try shop.calls("GET", "/v1/subscriptions") == before + asked)
        #expect(try shop.backend.call("refresh-subscription", token: other.token).status == 200)
    }

    @Test
    func `Who never was a customer is Basic without Stripe being asked`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        for _ in 0..<2 {
            let answer = try shop.backend.call("refresh-subscription", token: person.token)
            #expect(answer.status == 200 && answer.json["tier"] == "basic")
        }
        #expect(try shop.calls("GET", "/v1/subscriptions") == 0)
    }

    @Test
    func `All statuses that Stripe may tell are stored, and an unknown one is logged`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        for (status, tier) in [
            ("trialing", "pro"), ("past_due", "pro"), ("unpaid", "basic"), ("paused", "basic"), ("incomplete", "basic"),
            ("of_the_future", "pro"), ("active", "pro"), ("canceled", "basic"),
        ] {
            try shop.control("subscriptions/\(id)", ["status": status])
            try shop.database.execute("update stripe_customers set refreshed_at = null")
            let answer = try shop.backend.call("refresh-subscription", token: person.token)
            #expect(
                answer.json["status"].text == status && answer.json["tier"].text == tier, "\(status): \(answer.text)")
        }
        let log = try shop.backend.endpoint("refresh-subscription").processes[0].error
        #expect(
            log.contains("of_the_future") && log.matches(of: /status of a subscription that is not known/).count == 1)
    }

    @Test
    func `An older version of the API gives the same rows`() throws {
        var rows: [[String]] = []
        for version in ["2024-06-20", "2026-10-28.endive"] {
            let shop = try Shop(["STRIPE_VERSION": version], hears: false)
            let person = try shop.backend.signIn()
            let id = try shop.buy(person)
            let portal = try shop.backend.call("subscription-portal", token: person.token).json["url"].text
            try shop.press("cancel", at: portal, "&subscription=\(id)")
            let answer = try shop.backend.call("refresh-subscription", token: person.token)
            #expect(answer.json["tier"] == "pro" && answer.json["current_period_end"] != .null)
            #expect(try shop.theirs() == shop.ours())
            rows.append(try shop.ours())
        }
        #expect(rows.allSatisfy { $0.count == 1 })
    }

    @Test
    func `A failed renewal leaves Pro through the grace, and a payment ends it`() throws {
        let shop = try Shop(["STRIPE_GRACE_DAYS": "3"], hears: false)
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        func refreshed() throws -> JSONValue {
            try shop.database.execute("update stripe_customers set refreshed_at = null")
            return try shop.backend.call("refresh-subscription", token: person.token).json
        }
        try shop.control("subscriptions/\(id)", ["fails": "true", "renew": "1"])
        let due = try refreshed()
        #expect(due["status"] == "past_due" && due["tier"] == "pro" && due["grace_until"] != .null)
        let days = try shop.database.row(
            Double.self,
            "select extract(epoch from entitled_until(s) - now()) / 86400 from subscriptions s")
        #expect((2.99...3).contains(days ?? 0))
        try shop.control("subscriptions/\(id)", ["settle": "1"])
        let paid = try refreshed()
        #expect(paid["status"] == "active" && paid["tier"] == "pro" && paid["grace_until"] == .null)
    }
}
