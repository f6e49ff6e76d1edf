import TestSupport
import Testing

@Suite(.threads)
struct SubscriptionPortalTests {
    @Test
    func `Who has subscribed is led to where it is managed, and back`() throws {
        let shop = try Shop(["PUBLIC_URL": "https://chat.example"])
        let person = try shop.backend.signIn()
        try shop.buy(person)
        let answer = try shop.backend.call("subscription-portal", token: person.token)
        #expect(answer.status == 201 && answer.json.names == ["url"], "\(answer.text)")
        let page = try shop.press("none", at: answer.json["url"].text)
        #expect(page.contains("Pro: active") && page.contains("https://chat.example/?subscription=changed"))
    }

    @Test
    func `Who never did is told so, and Stripe's absence is 503`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        expectProblem(try shop.backend.call("subscription-portal", token: person.token), 409, "no_subscription")
        try shop.buy(person)
        try shop.control("faults", ["kind": "error", "path": "/v1/billing_portal"])
        expectProblem(try shop.backend.call("subscription-portal", token: person.token), 503, "stripe_unavailable")
        #expect(try shop.backend.call("subscription-portal", token: person.token).status == 201)
    }
}
