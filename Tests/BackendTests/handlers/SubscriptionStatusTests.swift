import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct SubscriptionStatusTests {
    @Test
    func `Who has paid is Pro within 2 s, and everywhere`() throws {
        let shop = try Shop()
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        #expect(
            try shop.backend.call("subscription-status", token: person.token).text
                == #"{"tier":"basic","status":null,"current_period_end":null,"cancel_at":null,"grace_until":null,"notice":null}"#
        )
        var payer = person
        let least = try quickest(below: 2) {
            let answer = try shop.subscribe(payer)
            #expect(answer.status == 201, "\(answer.text)")
            let began = now()
            let led = try shop.press("pay", at: answer.json["checkout_url"].text)
            try eventually("Pro") { try shop.tier(payer) == "pro" }
            let took = now() - began
            let id = try #require(answer.json["session_id"].text)
            #expect(led.contains("303") && led.contains("/?subscription=paid&session_id=\(id)\r\n"))
            let status = try shop.status(payer)
            #expect(status["status"] == "active" && status["cancel_at"] == .null && status["grace_until"] == .null)
            #expect(status["current_period_end"].text?.hasPrefix("20") == true)
            #expect(try shop.backend.call("get-me", token: payer.token).json["user"]["tier"] == "pro")
            payer = try shop.backend.signIn()
            return took
        }
        print("Pro \(Int(least * 1_000)) ms after the payment")
        #expect(least < 2)
        #expect(try shop.tier(try shop.backend.signIn()) == "basic")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Cancelled in the portal, it is Pro until the period ends, and Basic at that instant`() throws {
        let shop = try Shop(period: 15)
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        try eventually("Pro") { try shop.tier(person) == "pro" }
        let portal = try shop.backend.call("subscription-portal", token: person.token)
        #expect(portal.status == 201)
        try shop.press("cancel", at: portal.json["url"].text, "&subscription=\(id)")
        try eventually("news of it") { try shop.status(person)["cancel_at"] != .null }
        // As billing in flexible mode cancels: by a time, without the flag.
        let row = try shop.database.row(
            Double.self, "select extract(epoch from cancel_at) from subscriptions where not cancel_at_period_end")
        let end = try #require(row)
        worker.kill()
        let (lastPro, firstBasic) = try shop.turn(of: person)
        #expect(lastPro < end && end <= firstBasic, "Pro at \(lastPro - end), Basic at \(firstBasic - end)")
        #expect(try shop.status(person)["status"] == "canceled")
    }

    @Test
    func `It follows from the row and the clock, whatever the status`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        try shop.database.execute("insert into stripe_customers (user_id, customer) values (\(person.id), 'cus_1')")
        // Status, days from now to the end of the period, to cancel_at, to the payment that is due; whether paid; the tier.
        let cases: [(String, Double, Double?, Double?, Bool, String)] = [
            ("active", 1, nil, nil, true, "pro"), ("trialing", 1, nil, nil, false, "pro"),
            ("active", -2.9, nil, nil, true, "pro"), ("active", -3.1, nil, nil, true, "basic"),
            ("active", 1, 0.1, nil, true, "pro"), ("active", 1, -0.0001, nil, true, "basic"),
            ("trialing", 1, -0.0001, nil, true, "basic"), ("past_due", 30, nil, -2.9, false, "pro"),
            ("past_due", 30, nil, -3.1, false, "basic"), ("past_due", 30, -0.1, -1, false, "basic"),
            ("unpaid", 30, nil, nil, false, "basic"), ("canceled", 30, nil, nil, true, "basic"),
            ("incomplete", 30, nil, nil, false, "basic"), ("incomplete_expired", 30, nil, nil, false, "basic"),
            ("paused", 30, nil, nil, true, "basic"), ("of_the_future", 30, nil, nil, true, "pro"),
            ("of_the_future", 30, nil, nil, false, "basic"), ("of_the_future", -0.1, nil, nil, true, "basic"),
        ]
        for (status, end, cancel, due, isPaid, tier) in cases {
            try shop.database.execute(
                """
                with d as (delete from subscriptions)
                insert into subscriptions (user_id, id, status, livemode, current_period_end, cancel_at, cancel_at_period_end,
                    past_due_since, is_paid, created_at, grace, seen_at)
                values (\(person.id), gen_random_uuid()::text, \(status), false, now() + \(end) * interval '1 day',
                    now() + \(cancel) * interval '1 day', false, now() + \(due) * interval '1 day', \(isPaid), now(),
                    '3 days', now())
                """)
            let what = "\(status) \(end) \(cancel ?? 0) \(due ?? 0) \(isPaid)"
            #expect(try shop.tier(person) == tier, Comment(rawValue: what))
            let isDue = status == "past_due"
            #expect(
                try (shop.status(person)["grace_until"] != .null)
                    == (isDue || end < 0 && status == "active" || end < 0), Comment(rawValue: what))
        }
        try shop.database.execute("delete from subscriptions")
        #expect(try shop.tier(person) == "basic")
    }

    @Test
    func `Cancelled by the flag, it ends with its period`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        try shop.database.execute("insert into stripe_customers (user_id, customer) values (\(person.id), 'cus_1')")
        for (end, tier) in [(1.0, "pro"), (-0.0001, "basic")] {
            try shop.database.execute(
                """
                with d as (delete from subscriptions)
                insert into subscriptions (user_id, id, status, livemode, current_period_end, cancel_at_period_end, is_paid,
                    created_at, grace, seen_at)
                values (\(person.id), gen_random_uuid()::text, 'active', false, now() + \(end) * interval '1 day', true, true,
                    now(), '3 days', now())
                """)
            #expect(try shop.tier(person) == tier)
        }
    }

    @Test
    func `Of several subscriptions the longest counts`() throws {
        let shop = try Shop()
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        let first = try shop.buy(person)
        try eventually("Pro") { try shop.tier(person) == "pro" }
        let customer = try #require(try shop.database.row(String.self, "select customer from stripe_customers"))
        let second = try shop.api(
            "POST", "/v1/subscriptions", ["customer": customer, "items[0][price]": "price_sandbox_pro"])["id"]
        try shop.api("DELETE", "/v1/subscriptions/\(first)")
        try eventually("both") { try shop.ours() == shop.theirs() }
        #expect(try shop.ours().count == 2 && second.text != nil)
        #expect(try shop.status(person)["status"] == "active")
        withExtendedLifetime(worker) {}
    }
}
