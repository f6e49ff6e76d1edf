import Common
import TestSupport
import Testing

@Suite(.threads)
struct ResumeSubscriptionTests {
    @Test
    func `What was cancelled goes on, whichever way it was`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409)
        let portal = try shop.backend.call("subscription-portal", token: person.token).json["url"].text
        for way in ["flag", "time"] {
            if way == "flag" {
                #expect(try shop.backend.call("cancel-subscription", token: person.token).status == 200)
            } else {
                try shop.press("cancel", at: portal, "&subscription=\(id)")
                #expect(try shop.backend.call("refresh-subscription", token: person.token).status == 200)
            }
            #expect(try shop.status(person)["cancel_at"] != .null, Comment(rawValue: way))
            let answer = try shop.backend.call("resume-subscription", token: person.token)
            #expect(
                answer.status == 200 && answer.json["cancel_at"] == .null && answer.json["tier"] == "pro",
                "\(answer.text)")
            #expect(try shop.theirs() == shop.ours())
        }
    }

    @Test
    func `What is over does not come back`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        expectProblem(try shop.backend.call("resume-subscription", token: person.token), 409, "no_subscription")
        let id = try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409)
        #expect(try shop.backend.call("cancel-subscription", token: person.token).status == 200)
        try shop.api("DELETE", "/v1/subscriptions/\(id)")
        expectProblem(try shop.backend.call("resume-subscription", token: person.token), 409, "no_subscription")
        #expect(try shop.tier(person) == "basic")
    }
}
