import Common
import Foundation
import TestSupport
import Testing

/// What the worker does with Stripe: asks about customers, compares all of them, and what becomes of it when something dies.
@Suite(.threads)
struct BillingTests {
    @Test
    func
        `500 deliveries, repeated, shuffled, late and half of them old, and a worker that is killed: our rows equal Stripe's`()
        throws
    {
        let shop = try Shop(["LEASE_SECONDS": "2"], processes: 2)
        try shop.control("deliveries", ["repeats": "4", "delay_ms": "4000", "old_share": "50"])
        let people = try (0..<20).map { _ in try shop.backend.signIn() }
        var subscriptions: [String] = []
        var worker = try shop.backend.worker()
        for person in people {
            // Paid for at Stripe itself, so that only events tell us of it.
            #expect(try shop.subscribe(person).status == 201)
            let customer = try #require(
                try shop.database.row(
                    String.self, "select customer from stripe_customers where user_id = \(person.id)::uuid"))
            let form = ["customer": customer, "items[0][price]": "price_sandbox_pro"]
            subscriptions.append(try #require(try shop.api("POST", "/v1/subscriptions", form)["id"].text))
        }
        var chance = Repeatable(state: 6)
        var deaths = 0
        while try shop.control("deliveries", method: "GET")["events"].number ?? 0 < 220 {
            let id = try #require(subscriptions.randomElement(using: &chance))
            switch Int.random(in: 0..<6, using: &chance) {
            case 0: try shop.control("subscriptions/\(id)", ["renew": "1"])
            case 1: try shop.control("subscriptions/\(id)", ["fails": "true", "renew": "1"])
            case 2: try shop.control("subscriptions/\(id)", ["settle": "1"])
            case 3: try shop.api("POST", "/v1/subscriptions/\(id)", ["cancel_at_period_end": "true"])
            case 4: try shop.api("POST", "/v1/subscriptions/\(id)", ["cancel_at_period_end": "false"])
            default: try shop.api("POST", "/v1/subscriptions/\(id)", ["cancel_at": String(2_000_000_000 + deaths)])
            }
            usleep(20_000)
            if Int.random(in: 0..<25, using: &chance) == 0 {
                worker.kill()
                try worker.wait()
                deaths += 1
                worker = try shop.backend.worker()
            }
        }
        for id in subscriptions.prefix(5) { try shop.api("DELETE", "/v1/subscriptions/\(id)") }
        worker.kill()
        try worker.wait()
        worker = try shop.backend.worker()
        try eventually("all deliveries", within: 300) {
            try shop.control("deliveries", method: "GET")["pending"] == 0
        }
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        let counts = try shop.control("deliveries", method: "GET")
        let (sent, events) = (Int(counts["taken"].number ?? 0), Int(counts["events"].number ?? 0))
        #expect(sent >= 500 && counts["given_up"] == 0, "\(counts)")
        #expect(try shop.ours() == shop.theirs())
        // Each event once, and each applied.
        #expect(try shop.database.row(Int.self, "select count(*) from stripe_events") == events)
        #expect(
            try shop.database.row(
                Int.self, "select count(*) from stripe_events where applied_at is null and customer is not null") == 0)
        let old =
            try shop.database.row(
                Int.self, "select count(*) * 100 / \(events)::int from stripe_events where api_version = '2024-06-20'")
            ?? 0
        #expect((30...70).contains(old), "\(old) % old")
        #expect(
            try shop.database.row(
                Bool.self,
                """
                select bool_and(u.pro_until is not distinct from (
                    select max(entitled_until(s)) from subscriptions s where s.user_id = u.id)) from users u
                """) == true)
        print("\(sent) deliveries of \(events) events, \(deaths + 1) workers killed: rows equal")
    }

    @Test
    func `What Stripe says late is not stored over what it said since`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409, "already_pro")
        let customer = try shop.database.row(String.self, "select customer from stripe_customers")
        // As a worker would have asked that stopped for a while before it stored.
        let said = """
            [{"id":"\(id)","customer":"\(customer ?? "")","status":"canceled","livemode":false,"cancel_at_period_end":false,
            "is_paid":true,"created_at":1}]
            """
        for (asked, tier) in [("now() - interval '1 minute'", "pro"), ("now() + interval '1 minute'", "basic")] {
            _ = try shop.database.row(
                Bool.self,
                "select store_subscriptions(\(customer), \(SQL(made: asked)), \(said)::jsonb, 3)")
            #expect(try shop.tier(person) == tier)
        }
    }

    @Test
    func `An event that comes while its customer is asked about has them asked about again`() throws {
        let shop = try Shop()
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        let id = try shop.buy(person)
        try eventually("Pro") { try shop.tier(person) == "pro" }
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        let before = try shop.calls("GET", "/v1/subscriptions")
        try shop.control("faults", ["kind": "slow", "path": "/v1/subscriptions", "ms": "1500", "times": "1"])
        try shop.control("subscriptions/\(id)", ["renew": "1"])
        try eventually("the call") { try shop.calls("GET", "/v1/subscriptions") > before }
        try shop.api("DELETE", "/v1/subscriptions/\(id)")
        try eventually("Basic") { try shop.tier(person) == "basic" }
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        #expect(try shop.ours() == shop.theirs())
        withExtendedLifetime(worker) {}
    }

    @Test
    func `While Stripe is away it is asked again, ever later, and nothing is lost`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        try shop.buy(person)
        try shop.control("faults", ["kind": "error", "path": "/v1/subscriptions", "times": "3"])
        let worker = try shop.backend.worker()
        try eventually("a failure") {
            try shop.database.row(Int.self, "select coalesce(max(attempts), 0) from jobs") ?? 0 > 1
        }
        try eventually("Pro") { try shop.tier(person) == "pro" }
        #expect(worker.error.contains("Stripe did not do it") && worker.error.contains("HTTP 500 api_error req_"))
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
    }

    @Test
    func `With the key of another account nobody loses what they paid for, and the log says so`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.buy(person)
        expectProblem(try shop.subscribe(person), 409, "already_pro")
        let other = try Sandbox("sandbox-stripe", folder: try Folder())
        let worker = try shop.backend.worker(["STRIPE_BASE_URL": other.url])
        try eventually("the comparison") {
            try shop.database.row(Int.self, "select count(*) from stripe_checks where finished_at is not null") == 1
        }
        try eventually("the refusal") { worker.error.contains("resource_missing customer") }
        #expect(try shop.tier(person) == "pro")
    }

    // MARK: All of them, once a day

    @Test
    func `Subscriptions of which no event told us are found by comparing all of them, in pages`() throws {
        let shop = try Shop(hears: false)
        let people = try (0..<6).map { _ in try shop.backend.signIn() }
        var ids: [String] = []
        for person in people { ids.append(try shop.buy(person)) }
        // Others of the same account of Stripe's, which are none of ours: three pages altogether.
        let stranger = try shop.api("POST", "/v1/customers")["id"].text ?? ""
        for _ in 0..<230 {
            try shop.api("POST", "/v1/subscriptions", ["customer": stranger, "items[0][price]": "price_sandbox_pro"])
        }
        // We know of four: one as it is, one that was cancelled since, one that is not Stripe's, and one that is due since.
        for person in people.prefix(4) { expectProblem(try shop.subscribe(person), 409, "already_pro") }
        try shop.api("DELETE", "/v1/subscriptions/\(ids[1])")
        try shop.database.execute("update subscriptions set id = 'sub_of_nobody' where id = \(ids[2])")
        try shop.control("subscriptions/\(ids[3])", ["fails": "true", "renew": "1"])
        let worker = try shop.backend.worker()
        try eventually("equal rows") {
            try shop.ours() == shop.theirs().filter { line in ids.contains { line.hasPrefix($0) } }
        }
        #expect(try people.map { try shop.tier($0) } == ["pro", "basic", "pro", "pro", "pro", "pro"])
        try eventually("no job") { try shop.database.row(Int.self, "select count(*) from jobs") == 0 }
        let check = try shop.database.row(
            String.self,
            "select concat_ws(' ', compared, drifted, finished_at is not null) from stripe_checks")
        #expect(check == "236 5 t", "\(check ?? "")")
        #expect(worker.error.contains("subscriptions were not what Stripe has"))
        // The next worker finds that a day is not over; after one, there is nothing to repair.
        #expect(try shop.backend.worker(seconds: 0).wait() == .code(0))
        #expect(try shop.database.row(Int.self, "select count(*) from jobs") == 0)
        try shop.database.execute("update stripe_checks set started_at = now() - interval '25 hours'")
        let next = try shop.backend.worker()
        try eventually("the next comparison") {
            try shop.database.row(
                Int.self,
                "select count(*) from stripe_checks where finished_at is not null and drifted = 0 and compared = 236"
            ) == 1
        }
        withExtendedLifetime((worker, next)) {}
    }

    @Test
    func `A comparison that a dead worker had begun goes on where it was`() throws {
        let shop = try Shop(["LEASE_SECONDS": "6"], hears: false)
        let stranger = try shop.api("POST", "/v1/customers")["id"].text ?? ""
        for _ in 0..<211 {
            try shop.api("POST", "/v1/subscriptions", ["customer": stranger, "items[0][price]": "price_sandbox_pro"])
        }
        for milliseconds in ["1", "30000"] {
            try shop.control("faults", ["kind": "slow", "path": "/v1/subscriptions", "ms": milliseconds])
        }
        let worker = try shop.backend.worker()
        func pages() throws -> Int {
            try shop.stripe.http("GET", "/sandbox/requests").list.count {
                $0["path"].text?.contains("starting_after") == true
            }
        }
        try eventually("the second page") { try pages() == 1 }
        worker.kill()
        let next = try shop.backend.worker()
        try eventually("the end of it") {
            try shop.database.row(Int.self, "select compared from stripe_checks where finished_at is not null") == 211
        }
        #expect(try pages() == 3)
        withExtendedLifetime(next) {}
    }

    @Test
    func `Where nobody can pay, no worker asks Stripe`() throws {
        let backend = try Backend()
        #expect(try backend.worker(seconds: 0).wait() == .code(0))
        #expect(try backend.database.connect().row(Int.self, "select count(*) from jobs") == 0)
    }

    // MARK: What the operator gives

    @Test
    func `The operator gives Pro and takes it back by the number`() throws {
        let shop = try Shop()
        let person = try shop.backend.signIn()
        func run(_ arguments: String...) throws -> (exit: Executable.Exit, output: String, error: String) {
            let process = try Executable(
                "cron-worker", arguments, environment: shop.backend.settings, folder: shop.backend.folder.path)
            let exit = try process.wait()
            return (exit, process.output, process.error)
        }
        let given = try run("--grant-pro", person.mobile)
        #expect(
            given.exit == .code(0) && given.output == "\(person.mobile) is Pro until it is taken back\n", "\(given)")
        #expect(try shop.tier(person) == "pro")
        #expect(try shop.status(person)["status"] == .null && shop.status(person)["current_period_end"] == .null)
        expectProblem(try shop.subscribe(person), 409, "already_pro")
        let evidence = try shop.backend.call("explain-subscription", token: person.token).json
        #expect(
            evidence["because_of"] == "grant" && evidence["grant"]["granted_at"] != .null
                && evidence["pro_until"] == .null)
        let limited = try run("--grant-pro", "98 " + person.mobile.dropFirst(3), "--until", "2099-12-31")
        #expect(limited.exit == .code(64), "the number of another country")
        #expect(try run("--grant-pro", person.mobile, "--until", "2099-12-31").output.hasSuffix(" until 2099-12-31\n"))
        #expect(try shop.database.row(String.self, "select until from pro_grants") == "2099-12-31 00:00:00+00")
        #expect(try run("--revoke-pro", person.mobile).output == "\(person.mobile) is Basic\n")
        #expect(try shop.tier(person) == "basic")
        #expect(try run("--revoke-pro", person.mobile).output.contains("had not been given Pro"))

        for (arguments, what) in [
            (["--grant-pro", "+910000000001"], "has no account"),
            (["--revoke-pro", "+910000000001"], "has no account"),
            (["--grant-pro", "nobody"], "is no mobile number"), (["--until", "2099-01-01"], "--until belongs to"),
            (["--grant-pro", person.mobile, "--until", "2001-01-01"], "is over"),
            (["--grant-pro", person.mobile, "--until", "tomorrow"], "no date"),
            (["--grant-pro", person.mobile, "--until", "2099-02-30"], "no date"),
        ] {
            let process = try Executable(
                "cron-worker", arguments, environment: shop.backend.settings, folder: shop.backend.folder.path)
            #expect(try process.wait() == .code(64))
            #expect(process.error.contains(what), "\(arguments): \(process.error)")
        }
        #expect(try shop.tier(person) == "basic")
    }

    @Test
    func `Pro that was given ends on its day, and a subscription beside it counts on`() throws {
        let shop = try Shop(hears: false)
        let person = try shop.backend.signIn()
        try shop.database.execute("insert into pro_grants values (\(person.id), now() + interval '1 hour')")
        #expect(try shop.tier(person) == "pro")
        try shop.database.execute("update pro_grants set until = now() + interval '1 second'")
        let end = try #require(
            try shop.database.row(Double.self, "select extract(epoch from until)::float8 from pro_grants"))
        let (lastPro, firstBasic) = try shop.turn(of: person)
        #expect(lastPro < end && end <= firstBasic)
        try shop.buy(person)
        #expect(try shop.backend.call("refresh-subscription", token: person.token).json["tier"] == "pro")
        try shop.database.execute("update pro_grants set until = 'infinity'")
        try shop.database.execute("delete from pro_grants")
        #expect(try shop.tier(person) == "pro")
        try shop.database.execute("delete from subscriptions")
        #expect(try shop.tier(person) == "basic")
    }
}
