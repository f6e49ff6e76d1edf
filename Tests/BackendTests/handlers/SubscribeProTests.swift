import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct SubscribeProTests {
    @Test
    func `A page to pay at is made, with our own ids in all places`() throws {
        let shop = try Shop(["PUBLIC_URL": "https://chat.example"])
        let person = try shop.backend.signIn()
        let answer = try shop.subscribe(person)
        #expect(answer.status == 201 && answer.json.names == ["checkout_url", "session_id"], "\(answer.text)")
        let asked = try #require(
            try shop.stripe.http("GET", "/sandbox/requests").list.last { $0["path"] == "/v1/checkout/sessions" })
        let form = (asked["body"].text ?? "").removingPercentEncoding ?? ""
        for expected in [
            "mode=subscription", "line_items[0][price]=price_sandbox_pro", "client_reference_id=\(person.id)",
            "metadata[user_id]=\(person.id)", "subscription_data[metadata][user_id]=\(person.id)",
            "success_url=https://chat.example/?subscription=paid&session_id={CHECKOUT_SESSION_ID}",
        ] { #expect(form.contains(expected), "\(expected) in \(form)") }
        #expect(asked["headers"]["stripe-version"] == "2026-10-28.endive")
        let row = try shop.database.row(String.self, "select 'checkout-' || id from checkouts")
        #expect(asked["headers"]["idempotency-key"].text == row)
        let customer = try shop.api("GET", "/v1/customers")["data"][0]
        #expect(customer["metadata"]["user_id"].text == person.id)
    }

    @Test
    func `Of many at once, one customer is made and one page, on any number of processes`() throws {
        let shop = try Shop(processes: 8)
        let person = try shop.backend.signIn()
        let answers = try concurrently(16) { _ in try shop.subscribe(person) }
        #expect(answers.allSatisfy { $0.status == 201 }, "\(answers.map(\.text))")
        #expect(Set(answers.map { $0.json["session_id"].text }).count == 1)
        #expect(try shop.api("GET", "/v1/customers")["data"].list.count == 1)
        #expect(try shop.api("GET", "/v1/checkout/sessions")["data"].list.count == 1)
    }

    @Test
    func `The same page is given until it is over, and then another`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        let first = try shop.subscribe(person).json["session_id"]
        #expect(try shop.subscribe(person).json["session_id"] == first)
        try shop.api("POST", "/v1/checkout/sessions/\(first.text ?? "")/expire")
        let second = try shop.subscribe(person)
        #expect(second.status == 201 && second.json["session_id"] != first)
        #expect(try shop.api("GET", "/v1/customers")["data"].list.count == 1)
    }

    @Test
    func `Who is Pro is sent to the portal, also when no event told us of it`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        #expect(try shop.tier(person) == "basic")
        let answer = try shop.subscribe(person)
        expectProblem(answer, 409, "already_pro")
        #expect(answer.json["detail"].text?.contains("/subscription/portal") == true)
        #expect(try shop.tier(person) == "pro")
        #expect(try shop.backend.call("subscription-portal", token: person.token).status == 201)
    }

    @Test
    func `Who owes a payment does not pay for another subscription`() throws {
        let shop = try Shop(["STRIPE_GRACE_DAYS": "0"])
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        try shop.control("subscriptions/\(id)", ["fails": "true", "renew": "1"])
        try eventually("the news") { try shop.status(person)["status"] == "past_due" }
        #expect(try shop.tier(person) == "basic")
        expectProblem(try shop.subscribe(person), 409, "payment_due")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `After the end of one there can be another`() throws {
        let shop = try Shop()
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        try eventually("Pro") { try shop.tier(person) == "pro" }
        try shop.api("DELETE", "/v1/subscriptions/\(id)")
        try eventually("Basic") { try shop.tier(person) == "basic" }
        try shop.buy(person)
        try eventually("Pro again") { try shop.tier(person) == "pro" }
        #expect(try shop.api("GET", "/v1/customers")["data"].list.count == 1)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A customer who was deleted at Stripe is made anew`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        #expect(try shop.subscribe(person).status == 201)
        let customer = try #require(try shop.database.row(String.self, "select customer from stripe_customers"))
        try shop.api("DELETE", "/v1/customers/\(customer)")
        #expect(try shop.subscribe(person).status == 201)
        #expect(try shop.database.row(String.self, "select customer from stripe_customers") != customer)
    }

    // MARK: When Stripe fails

    @Test(arguments: ["down", "lost", "error", "busy"])
    func `Whatever Stripe does, the caller gets 503, nothing is half-made, and it works when Stripe is back`(
        kind: String
    )
        throws
    {
        for path in ["/v1/customers", "/v1/checkout/sessions"] {
            let shop = try Shop()
            let person = try shop.backend.signIn()
            let least = try quickest(below: 10) {
                // libcurl repeats by itself what a reset connection did not answer.
                try shop.control("faults", ["kind": kind, "path": path, "times": kind == "error" ? "1" : "50"])
                let took = try seconds { expectProblem(try shop.subscribe(person), 503, "stripe_unavailable") }
                #expect(try shop.tier(person) == "basic")
                try shop.control("faults", method: "DELETE")
                return took
            }
            #expect(least < 10)
            // A 500 is kept for whoever asks under the same key: ours is another one now.
            let answer = try shop.subscribe(person)
            #expect(answer.status == 201, "\(kind) \(path) \(answer.text)")
            try shop.press("pay", at: answer.json["checkout_url"].text)
            #expect(try shop.api("GET", "/v1/customers")["data"].list.count == 1)
            #expect(try shop.api("GET", "/v1/checkout/sessions")["data"].list.count == 1)
            expectProblem(try shop.subscribe(person), 409, "already_pro")
        }
    }

    @Test
    func `A slow Stripe is given up in less than 10 s, and the same page is there afterwards`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        let least = try quickest(below: 10) {
            try shop.control("faults", ["kind": "slow", "ms": "15000", "path": "/v1/checkout", "times": "1"])
            return try seconds { expectProblem(try shop.subscribe(person), 503, "stripe_unavailable") }
        }
        #expect((7..<10).contains(least), "\(least)")
        #expect(try shop.subscribe(person).status == 201)
        #expect(try shop.api("GET", "/v1/customers")["data"].list.count == 1)
    }

    @Test
    func `Where there is no Stripe at all it is 503 too`() throws {
        let shop = try Shop(["STRIPE_BASE_URL": "http://127.0.0.1:1"])
        expectProblem(try shop.subscribe(try shop.backend.signIn()), 503, "stripe_unavailable")
    }

    @Test
    func `A price that Stripe does not have is for the operator to read of`() throws {
        let shop = try Shop(["STRIPE_PRICE_ID": "price_of_nothing"])
        expectProblem(try shop.subscribe(try shop.backend.signIn()), 503, "stripe_unavailable")
        let log = try shop.backend.endpoint("subscribe-pro").processes[0].error
        #expect(log.contains("resource_missing line_items[0][price] req_"), "\(log)")
    }

    @Test(arguments: [
        "subscribe-pro", "subscription-portal", "cancel-subscription", "resume-subscription", "refresh-subscription",
        "list-invoices",
    ])
    func `Whoever's session has ended is told so by all that asks Stripe`(endpoint: String) throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        try shop.database.execute("update sessions set ended_at = now()")
        expectProblem(try shop.backend.call(endpoint, token: person.token), 401, "session_ended")
        #expect(try shop.stripe.http("GET", "/sandbox/requests").list.isEmpty)
    }

    @Test
    func `Where nobody can pay it says so, and a key without a price is refused at the start`() throws {
        let backend = try Backend()
        let person = try backend.signIn()
        for name in [
            "subscribe-pro", "subscription-portal", "cancel-subscription", "resume-subscription",
            "refresh-subscription", "list-invoices",
        ] {
            expectProblem(try backend.call(name, token: person.token), 404, "payments_off", name)
            expectProblem(try backend.call(name), 401, "token_missing", name)
        }
        for settings in [["STRIPE_SECRET_KEY": "sk_test_x"], ["STRIPE_SECRET_KEY": "whatever"]] {
            let process = try Backend(settings).endpoint("subscribe-pro").processes[0]
            #expect(try process.wait() == .code(78))
            #expect(!process.error.contains("whatever"))
        }
    }
}
