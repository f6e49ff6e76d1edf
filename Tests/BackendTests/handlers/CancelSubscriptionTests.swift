import Common
import TestSupport
import Testing

@Suite(.threads)
struct CancelSubscriptionTests {
    @Test
    func `It is to end with its period, and is Pro until then; again changes nothing`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409)
        for _ in 0..<2 {
            let answer = try shop.backend.call("cancel-subscription", token: person.token)
            #expect(answer.status == 200 && answer.json["tier"] == "pro" && answer.json["status"] == "active")
            #expect(answer.json["cancel_at"] == answer.json["current_period_end"] && answer.json["cancel_at"] != .null)
            #expect(try shop.theirs() == shop.ours())
        }
        let id = try #require(try shop.database.row(String.self, "select id from subscriptions"))
        #expect(try shop.calls("POST", "/v1/subscriptions/\(id)") == 1)
    }

    @Test
    func `Where there is none, or it is over already, it is 409`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        expectProblem(try shop.backend.call("cancel-subscription", token: person.token), 409, "no_subscription")
        let id = try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409)
        // Of which we have not heard.
        try shop.api("DELETE", "/v1/subscriptions/\(id)")
        expectProblem(try shop.backend.call("cancel-subscription", token: person.token), 409, "no_subscription")
        #expect(try shop.tier(person) == "basic")
    }

    @Test
    func `While Stripe is away nothing changes`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409)
        try shop.control("faults", ["kind": "down", "times": "50"])
        expectProblem(try shop.backend.call("cancel-subscription", token: person.token), 503, "stripe_unavailable")
        #expect(try shop.status(person)["cancel_at"] == .null && shop.tier(person) == "pro")
        try shop.control("faults", method: "DELETE")
        #expect(try shop.backend.call("cancel-subscription", token: person.token).status == 200)
    }

    @Test
    func `Another's is not touched`() throws {
        let shop = try Shop(hears: false)
        let (mine, theirs) = (try shop.backend.signIn(), try shop.backend.signIn())
        for person in [mine, theirs] {
            try shop.buy(person)
            expectProblem(try shop.subscribe(person), 409)
        }
        #expect(try shop.backend.call("cancel-subscription", token: mine.token).status == 200)
        #expect(try shop.status(theirs)["cancel_at"] == .null)
    }
}
