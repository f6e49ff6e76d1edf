import Common
import Foundation
import TestSupport
import Testing

/// What happens when Stripe does not find a customer of ours: they were deleted there, or belong to another account than the key.
@Suite(.threads)
struct LostCustomersTests {
    /// How Stripe loses a customer. `hidden`: deleted, and even lists of what was theirs are refused.
    enum Loss: String, CaseIterable { case deleted, hidden, elsewhere }

    @Test(arguments: Loss.allCases)
    func `Every endpoint that asks Stripe answers, and the next purchase makes another customer`(loss: Loss) throws {
        for endpoint in ["subscription-portal", "cancel-subscription", "resume-subscription"] {
            let (shop, person, customer) = try customerOfOurs()
            try lose(customer, shop, loss)
            for _ in 0..<2 {
                expectProblem(
                    try shop.backend.call(endpoint, token: person.token), 409, "no_subscription",
                    "\(endpoint) \(loss)")
            }
            try expectPurchase(shop, person, loss, instead: customer)
        }
        for endpoint in ["refresh-subscription", "list-invoices"] {
            let (shop, person, customer) = try customerOfOurs()
            try lose(customer, shop, loss)
            let answer = try shop.backend.call(endpoint, token: person.token)
            #expect(answer.status == 200, "\(endpoint) \(loss) \(answer.text)")
            try expectPurchase(shop, person, loss, instead: customer)
        }
        let (shop, person, customer) = try customerOfOurs()
        try lose(customer, shop, loss)
        try expectPurchase(shop, person, loss, instead: customer)
    }

    @Test(arguments: ["past_due", "unpaid", "paused", "active"])
    func `Who was not Pro any more when the key became another account's can pay again`(status: String) throws {
        let (shop, person, customer) = try customerOfOurs()
        try lose(customer, shop, .elsewhere)
        try shop.database.execute(
            """
            update subscriptions set status = \(status), current_period_end = now() - interval '9 days',
                past_due_since = now() - interval '9 days'
            """)
        #expect(try shop.tier(person) == "basic")
        try shop.buy(person)
        #expect(try shop.backend.call("refresh-subscription", token: person.token).json["tier"] == "pro")
        #expect(try shop.database.row(String.self, "select customer from stripe_customers") != customer)
    }

    @Test
    func `A payment page of another account is not looked for again and again`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        #expect(try shop.subscribe(person).status == 201)
        try shop.database.execute("update checkouts set session = 'cs_of_another_account'")
        #expect(try shop.subscribe(person).status == 201)
    }

    @Test
    func `While Stripe does not answer, our rows refuse another purchase`() throws {
        let (shop, person, _) = try customerOfOurs()
        try shop.control("faults", ["kind": "down", "times": "50"])
        expectProblem(try shop.subscribe(person), 409, "already_pro")
    }

    // MARK: The worker

    @Test(arguments: Loss.allCases)
    func `The worker's job ends, and says why`(loss: Loss) throws {
        let (shop, person, customer) = try customerOfOurs()
        try lose(customer, shop, loss)
        try shop.database.execute("select queue_stripe(\(customer))")
        let worker = try shop.backend.worker()
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        if loss == .elsewhere {
            #expect(worker.error.contains("is not in the Stripe account of STRIPE_SECRET_KEY"), "\(worker.error)")
        }
        #expect(try shop.tier(person) == (loss == .elsewhere ? "pro" : "basic"))
    }

    @Test
    func `A comparison that stopped in another account begins again`() throws {
        let (shop, _, _) = try customerOfOurs()
        try shop.database.execute(
            """
            insert into jobs (user_id, lane, id, kind, payload)
            select k, k, k, 'stripe', jsonb_build_object('check', now(), 'after', 'sub_of_another_account')
            from (select md5('stripe:')::uuid) k (k)
            """)
        let worker = try shop.backend.worker()
        try eventually("the comparison") {
            try shop.database.row(Int.self, "select compared from stripe_checks where finished_at is not null") == 1
        }
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: Loss.allCases)
    func `The deletion of an account ends, of one whom the key does not know after a day`(loss: Loss) throws {
        let (shop, person, customer) = try customerOfOurs()
        try lose(customer, shop, loss)
        #expect(try shop.database.row(Bool.self, "select delete_user(\(person.id)::uuid)") == true)
        let worker = try shop.backend.worker()
        if loss == .elsewhere {
            try eventually("a try") {
                try shop.database.row(Int.self, "select coalesce(max(attempts), 0) from jobs where state = 'waiting'")
                    ?? 0 > 0
            }
            try shop.database.execute("update jobs set started_at = now() - interval '25 hours', run_at = now()")
        }
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        let said = worker.error.contains("a customer could not be deleted") && worker.error.contains(customer)
        #expect(said == (loss == .elsewhere), "\(worker.error)")
    }

    // MARK: What the tests do

    /// Somebody who is Pro by our rows, too.
    private func customerOfOurs() throws -> (Shop, Backend.Person, String) {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409, "already_pro")
        return (shop, person, try #require(try shop.database.row(String.self, "select customer from stripe_customers")))
    }

    private func lose(_ customer: String, _ shop: Shop, _ loss: Loss) throws {
        switch loss {
        case .hidden:
            try shop.control("customers/\(customer)", ["hides_lists": "true"])
            fallthrough
        case .deleted: try shop.api("DELETE", "/v1/customers/\(customer)")
        case .elsewhere: try shop.control("customers/\(customer)", ["vanish": "1"])
        }
    }

    /// Who is Pro in another account of Stripe's stays so for as long as they paid.
    private func expectPurchase(
        _ shop: Shop, _ person: Backend.Person, _ loss: Loss, instead customer: String
    ) throws {
        if loss == .elsewhere {
            expectProblem(try shop.subscribe(person), 409, "already_pro")
            try shop.database.execute("update subscriptions set current_period_end = now() - interval '9 days'")
        }
        let answer = try shop.subscribe(person)
        #expect(answer.status == 201, "\(loss) \(answer.text)")
        #expect(try shop.database.row(String.self, "select customer from stripe_customers") != customer)
    }
}
