import Common
import Foundation
import TestSupport
import Testing

/// Grace that is counted once, and subscriptions that Stripe has paused.
@Suite(.threads)
struct SubscriptionRulesTests {
    let shop: Shop
    let person: Backend.Person
    let id: String

    init() throws {
        shop = try Shop(["STRIPE_GRACE_DAYS": "3"], hears: false)
        person = try shop.backend.signIn()
        id = try shop.buy(person)
    }

    // MARK: Grace

    @Test
    func `Further unpaid invoices do not begin the grace again, and a payment does`() throws {
        try shop.control("subscriptions/\(id)", ["fails": "true", "renew": "1"])
        let first = try refreshed()["grace_until"]
        #expect(first != .null)
        // As if the first invoice had come two days ago.
        try shop.database.execute("update subscriptions set past_due_since = past_due_since - interval '2 days'")
        let due = try shop.status(person)["grace_until"]
        #expect(due != first)
        for _ in 0..<2 {
            try shop.control("subscriptions/\(id)", ["renew": "1"])
            let status = try refreshed()
            #expect(status["status"] == "past_due" && status["grace_until"] == due, "\(status)")
        }
        // Nor does the daily comparison take it for a difference.
        let worker = try shop.backend.worker()
        try eventually("the comparison") {
            try shop.database.row(Int.self, "select drifted from stripe_checks where finished_at is not null") == 0
        }
        #expect(try shop.status(person)["grace_until"] == due)
        try shop.database.execute("update subscriptions set past_due_since = now() - interval '4 days'")
        try shop.control("subscriptions/\(id)", ["renew": "1"])
        #expect(try refreshed()["tier"] == "basic")

        try shop.control("subscriptions/\(id)", ["settle": "1"])
        #expect(try refreshed()["tier"] == "pro")
        try shop.control("subscriptions/\(id)", ["fails": "true", "renew": "1"])
        #expect(try refreshed()["tier"] == "pro")
        withExtendedLifetime(worker) {}
    }

    // MARK: Pauses

    @Test(arguments: [("void", "basic"), ("keep_as_draft", "pro"), ("mark_uncollectible", "pro")])
    func `A subscription whose invoices are voided pays for nothing`(behavior: String, tier: String) throws {
        let form = ["pause_collection[behavior]": behavior, "pause_collection[resumes_at]": "2000000000"]
        try pause(form)
        let status = try refreshed()
        #expect(status["tier"].text == tier && status["status"] == "active", "\(status)")
        let isVoid = behavior == "void"
        #expect((status["notice"]["code"] == "collection_paused") == isVoid && (status["notice"] == .null) == !isVoid)
        #expect(!isVoid || status["notice"]["resumes_at"].text?.hasPrefix("2033-05-18T03:33:20") == true)
        #expect(!isVoid || status["notice"]["detail"].text?.contains("paused payments") == true)
        let evidence = try shop.backend.call("explain-subscription", token: person.token).json["subscriptions"][0]
        #expect(evidence["collection_pause"].text == behavior && evidence["notice"] == status["notice"])
        expectProblem(try shop.subscribe(person), 409, isVoid ? "collection_paused" : "already_pro")
        try pause(["pause_collection": ""])
        #expect(try refreshed()["tier"] == "pro" && shop.status(person)["notice"] == .null)
    }

    @Test
    func `The daily comparison finds a pause of which no event told`() throws {
        expectProblem(try shop.subscribe(person), 409, "already_pro")
        try pause(["pause_collection[behavior]": "void"])
        let worker = try shop.backend.worker()
        try eventually("Basic") { try shop.tier(person) == "basic" }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A paused trial says what to do, and goes on when that is done`() throws {
        try shop.control("subscriptions/\(id)", ["status": "paused", "fails": "true"])
        let status = try refreshed()
        #expect(status["tier"] == "basic" && status["status"] == "paused", "\(status)")
        #expect(status["notice"]["code"] == "subscription_paused")
        let detail = try #require(status["notice"]["detail"].text)
        #expect(detail.contains("payment method") && detail.contains("/subscription/resume"), "\(detail)")
        let evidence = try shop.backend.call("explain-subscription", token: person.token).json
        #expect(evidence["subscriptions"][0]["notice"] == status["notice"])
        let refusal = try shop.subscribe(person)
        expectProblem(refusal, 409, "subscription_paused")
        #expect(refusal.json["detail"].text == detail)
        // Without a payment method it stays paused.
        expectProblem(try shop.backend.call("resume-subscription", token: person.token), 409, "subscription_paused")

        let portal = try shop.backend.call("subscription-portal", token: person.token).json["url"].text
        #expect(try shop.press("none", at: portal).contains("Add a card"))
        try shop.press("card", at: portal, "&subscription=\(id)")
        let resumed = try shop.backend.call("resume-subscription", token: person.token)
        #expect(resumed.status == 200 && resumed.json["tier"] == "pro" && resumed.json["status"] == "active")
        #expect(resumed.json["notice"] == .null)
    }

    @Test
    func `A payment that is due is told, too`() throws {
        try shop.control("subscriptions/\(id)", ["fails": "true", "renew": "1"])
        #expect(try refreshed()["notice"]["code"] == "payment_due")
        try shop.control("subscriptions/\(id)", ["status": "unpaid"])
        let status = try refreshed()
        #expect(status["notice"]["code"] == "payment_due" && status["tier"] == "basic")
        expectProblem(try shop.subscribe(person), 409, "payment_due")
        try shop.control("subscriptions/\(id)", ["status": "canceled"])
        #expect(try refreshed()["notice"] == .null)
    }

    private func refreshed() throws -> JSONValue {
        try shop.database.execute("update stripe_customers set refreshed_at = null")
        return try shop.backend.call("refresh-subscription", token: person.token).json
    }

    private func pause(_ form: [String: String]) throws { try shop.api("POST", "/v1/subscriptions/\(id)", form) }
}
