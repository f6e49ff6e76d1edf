import Common
import TestSupport
import Testing

@Suite(.threads)
struct ExplainSubscriptionTests {
    @Test
    func `The tier is shown with its evidence`() throws {
        let shop = try Shop()
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        let nothing = try shop.backend.call("explain-subscription", token: person.token)
        #expect(nothing.status == 200, "\(nothing.text)")
        #expect(nothing.json["tier"] == "basic" && nothing.json["because_of"] == .null)
        #expect(nothing.json["subscriptions"] == [] && nothing.json["events"] == [] && nothing.json["grant"] == .null)
        let id = try shop.buy(person)
        try eventually("Pro") { try shop.tier(person) == "pro" }
        try eventually("all events") { try shop.control("deliveries", method: "GET")["pending"] == 0 }
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        let evidence = try shop.backend.call("explain-subscription", token: person.token).json
        #expect(evidence["tier"] == "pro" && evidence["because_of"] == "subscription")
        #expect(evidence["customer"].text?.hasPrefix("cus_") == true && evidence["last_checked_at"] != .null)
        #expect(evidence["next_check"] == .null)
        #expect(evidence["subscriptions"][0]["id"].text == id && evidence["subscriptions"][0]["status"] == "active")
        #expect(evidence["events"].list.allSatisfy { $0["applied_at"] != .null })
        #expect(evidence["events"].list.contains { $0["type"] == "checkout.session.completed" })
        withExtendedLifetime(worker) {}
    }

    @Test
    func `It says whether our row and Stripe agreed when it was last asked`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        func agreed() throws -> JSONValue {
            try shop.database.execute("update stripe_customers set refreshed_at = null")
            #expect(try shop.backend.call("refresh-subscription", token: person.token).status == 200)
            return try shop.backend.call("explain-subscription", token: person.token).json["agreed_then"]
        }
        #expect(try agreed() == false)
        #expect(try agreed() == true)
        try shop.database.execute("update subscriptions set status = 'canceled'")
        #expect(try agreed() == false)
        #expect(try shop.tier(person) == "pro")
    }

    @Test
    func `An event that waits to be applied is shown as such, and another's is not shown`() throws {
        let shop = try Shop()
        let (person, other) = (try shop.backend.signIn(), try shop.backend.signIn())
        try shop.buy(person)
        try eventually("the events") { try shop.control("deliveries", method: "GET")["pending"] == 0 }
        let evidence = try shop.backend.call("explain-subscription", token: person.token).json
        #expect(evidence["events"].list.contains { $0["applied_at"] == .null })
        #expect(evidence["next_check"]["attempts"] == 0)
        let others = try shop.backend.call("explain-subscription", token: other.token).json
        #expect(others["events"] == [] && others["customer"] == .null)
    }
}
