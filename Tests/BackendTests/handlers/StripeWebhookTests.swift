import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct StripeWebhookTests {
    let backend: Backend
    let database: Database
    let person: Backend.Person

    init() throws {
        backend = try Backend([
            "STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRETS": "whsec_older,whsec_newer",
        ])
        database = backend.database.connect()
        person = try backend.signIn()
        try database.execute("insert into stripe_customers (user_id, customer) values (\(person.id), 'cus_1')")
    }

    @Test
    func `A signed event is kept once and a job queued with it, however often it comes`() throws {
        let event = StripeWebhookTests.event("evt_1")
        for _ in 0..<4 {
            let answer = try send(event, "whsec_newer")
            #expect(answer.status == 200 && answer.text == #"{"received":true}"#, "\(answer.text)")
        }
        #expect(try send(StripeWebhookTests.event("evt_2"), "whsec_older").status == 200)
        let kept = try database.rows(
            String.self,
            "select concat_ws(' ', id, type, customer, api_version, applied_at) from stripe_events order by id")
        let rest = "customer.subscription.updated cus_1 2026-10-28.endive"
        #expect(kept == ["evt_1 \(rest)", "evt_2 \(rest)"])
        #expect(try database.rows(String.self, "select payload ->> 'customer' from jobs") == ["cus_1"])
    }

    @Test(arguments: [Int.max, Int.min, 1 << 50])
    func `An event of a time that Postgres does not have is kept all the same`(created: Int) throws {
        #expect(try send(StripeWebhookTests.event("evt_1", created: created), "whsec_newer").status == 200)
        #expect(try database.row(Int.self, "select count(*) from stripe_events where created_at < '10000-01-01'") == 1)
    }

    @Test
    func `Of many at once it is kept once`() throws {
        let backend = try Backend(backend.settings, database: backend.database, processes: 4)
        let event = StripeWebhookTests.event("evt_1")
        let header = StripeWebhookTests.header(event, Int(Date().timeIntervalSince1970), "whsec_newer")
        let answers = try concurrently(16) { _ in
            try backend.call("stripe-webhook", raw: event, headers: ["Stripe-Signature": header])
        }
        #expect(answers.allSatisfy { $0.status == 200 })
        #expect(try database.row(Int.self, "select count(*) from stripe_events") == 1)
        #expect(try database.row(Int.self, "select count(*) from jobs") == 1)
    }

    @Test
    func `What is not signed, not so, or not lately, is refused and not kept`() throws {
        let event = StripeWebhookTests.event("evt_1")
        let time = Int(Date().timeIntervalSince1970)
        let right = StripeWebhookTests.hmac(event, time, "whsec_newer")
        // The same object in another order of bytes.
        let anew = JSONValue(event)?.bytes ?? []
        #expect(anew != event && JSONValue(anew) == JSONValue(event))
        var altered = event
        altered[altered.count / 2] ^= 1
        let cases: [(what: String, body: [UInt8], header: String)] = [
            ("altered body", altered, "t=\(time),v1=\(right)"), ("reencoded", anew, "t=\(time),v1=\(right)"),
            ("a byte more", event + [10], "t=\(time),v1=\(right)"),
            ("old", event, StripeWebhookTests.header(event, time - 302, "whsec_newer")),
            // By more than the time until it is sent.
            ("future", event, StripeWebhookTests.header(event, time + 360, "whsec_newer")),
            ("another time", event, "t=\(time + 1),v1=\(right)"),
            ("wrong secret", event, StripeWebhookTests.header(event, time, "whsec_other")),
            ("secret without its prefix", event, StripeWebhookTests.header(event, time, "newer")),
            ("both secrets", event, StripeWebhookTests.header(event, time, "whsec_older,whsec_newer")),
            ("no secret", event, StripeWebhookTests.header(event, time, "")),
            ("no v1", event, "t=\(time),v0=\(right)"), ("no time", event, "v1=\(right)"), ("nothing", event, ""),
            ("empty v1", event, "t=\(time),v1="), ("upper case", event, "t=\(time),v1=\(right.uppercased())"),
            ("cut", event, "t=\(time),v1=\(right.dropLast())"), ("longer", event, "t=\(time),v1=\(right)0"),
            ("no number", event, "t=now,v1=\(right)"), ("no time at all", event, "t=,v1=\(right)"),
            ("the least time", event, "t=-9223372036854775808,v1=\(right)"),
            ("the greatest time", event, "t=9223372036854775807,v1=\(right)"),
            ("rubbish", event, ",,=,==,t,v1,t=1=2,\u{1F600}"), ("empty body", [], "t=\(time),v1=\(right)"),
        ]
        for (what, body, header) in cases {
            let answer = try backend.call("stripe-webhook", raw: body, headers: ["Stripe-Signature": header])
            expectProblem(answer, 400, "signature_invalid", what)
        }
        #expect(try database.row(Int.self, "select count(*) from stripe_events") == 0)
        #expect(try database.row(Int.self, "select count(*) from jobs") == 0)
        // All of it but what was wrong is right.
        let good = try backend.call(
            "stripe-webhook", raw: event, headers: ["Stripe-Signature": "v0=x,t=\(time),v1=bad,v1=\(right)"])
        #expect(good.status == 200, "\(good.text)")
    }

    @Test
    func `Signatures of Stripe's own package hold, and its verifier takes ours`() throws {
        let folder = try Folder()
        let file = "\(folder.path)/event.json"
        let event = StripeWebhookTests.event("evt_of_the_package")
        try Data(event).write(to: URL(fileURLWithPath: file))
        let time = Int(Date().timeIntervalSince1970)
        let run = try Python.run([
            "\(projectFolder)/Tests/Python/stripe_signature.py", file, "whsec_newer",
            StripeWebhookTests.header(event, time, "whsec_newer"),
        ])
        #expect(run.exit == .code(0), "\(run.output) \(run.error.suffix(2_000))")
        let header = run.output.split(separator: "\n").last.map(String.init) ?? ""
        let answer = try backend.call("stripe-webhook", raw: event, headers: ["Stripe-Signature": header])
        #expect(answer.status == 200, "\(header) \(answer.text)")
        #expect(try database.row(String.self, "select id from stripe_events") == "evt_of_the_package")
    }

    @Test
    func `Events of the other mode are refused, and the log says so`() throws {
        let live = try Backend(
            backend.settings.merging(["STRIPE_SECRET_KEY": "rk_live_x"]) { $1 }, database: backend.database)
        for (backend, isLive) in [(backend, true), (live, false)] {
            let answer = try send(StripeWebhookTests.event("evt_1", isLive: isLive), "whsec_newer", to: backend)
            expectProblem(answer, 400, "livemode_mismatch")
            let log = try backend.endpoint("stripe-webhook").processes[0].error
            #expect(log.contains("an event of Stripe's other mode was refused") && log.contains("evt_1"))
        }
        #expect(try database.row(Int.self, "select count(*) from stripe_events") == 0)
        #expect(try send(StripeWebhookTests.event("evt_1", isLive: true), "whsec_newer", to: live).status == 200)
    }

    @Test
    func `Thin events and what is no event are refused; one about nobody we know is kept and does nothing`() throws {
        let bodies = [
            #"{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.no_meter_found","created":"2026-01-01T00:00:00Z"}"#,
            "{}", "[]", "null", "", "{\"id\":1}", "\u{FEFF}",
        ]
        for body in bodies {
            expectProblem(try send(Array(body.utf8), "whsec_newer"), 400, "event_unknown", body)
        }
        for object in [
            #"{"object":"subscription","customer":"cus_unknown"}"#, #"{"object":"price"}"#,
            #"{"object":"subscription","customer":null}"#, #"{"object":"x","customer":{}}"#,
        ] {
            let answer = try send(StripeWebhookTests.event("evt_\(object.count)", object: object), "whsec_newer")
            #expect(answer.status == 200, "\(object) \(answer.text)")
        }
        #expect(try database.row(Int.self, "select count(*) from jobs") == 0)
        #expect(try database.row(Int.self, "select count(*) from stripe_events where customer is null") == 4)
    }

    @Test
    func `Whom it is about is found in all the shapes there are`() throws {
        let shapes = [
            #"{"object":"subscription","customer":"cus_1"}"#, #"{"object":"customer","id":"cus_1"}"#,
            #"{"object":"invoice","customer":{"id":"cus_1","object":"customer"}}"#,
        ]
        for (number, object) in shapes.enumerated() {
            try database.execute("delete from jobs")
            #expect(try send(StripeWebhookTests.event("evt_\(number)", object: object), "whsec_newer").status == 200)
            #expect(try database.row(Int.self, "select count(*) from jobs") == 1, Comment(rawValue: object))
        }
    }

    @Test
    func `A job that waits after a failure is woken, and one that runs is done again`() throws {
        #expect(try send(StripeWebhookTests.event("evt_1"), "whsec_newer").status == 200)
        try database.execute("update jobs set state = 'waiting', run_at = now() + interval '1 hour'")
        #expect(try send(StripeWebhookTests.event("evt_2"), "whsec_newer").status == 200)
        #expect(try database.row(String.self, "select state from jobs where run_at <= now()") == "ready")
        try database.execute("update jobs set state = 'running', payload = payload - 'again'")
        #expect(try send(StripeWebhookTests.event("evt_3"), "whsec_newer").status == 200)
        #expect(try database.row(String.self, "select state::text || (payload ? 'again') from jobs") == "runningtrue")
    }

    @Test
    func `While Postgres is away it is 503, so that Stripe sends it again`() throws {
        let backend = try Backend(backend.settings.merging(["DATABASE_URL": "host=/nonexistent"]) { $1 })
        expectProblem(try send(StripeWebhookTests.event("evt_1"), "whsec_newer", to: backend), 503, "unavailable")
    }

    @Test
    func `Without secrets there is no webhook`() throws {
        let backend = try Backend(["STRIPE_SECRET_KEY": "sk_test_x"])
        expectProblem(try send(StripeWebhookTests.event("evt_1"), "", to: backend), 404, "payments_off")
    }

    // MARK: -

    private func send(_ event: [UInt8], _ secret: String, to other: Backend? = nil) throws -> Answer {
        let header = StripeWebhookTests.header(event, Int(Date().timeIntervalSince1970), secret)
        return try (other ?? backend).call("stripe-webhook", raw: event, headers: ["Stripe-Signature": header])
    }

    static func event(
        _ id: String, isLive: Bool = false, created: Int = 1_790_000_000,
        object: String = #"{"object":"subscription","id":"sub_1","customer":"cus_1"}"#
    ) -> [UInt8] {
        // Pretty-printed, as Stripe does: what is signed are these bytes.
        Array(
            """
            {
              "id": "\(id)",
              "object": "event",
              "api_version": "2026-10-28.endive",
              "created": \(created),
              "data": {
                "object": \(object)
              },
              "livemode": \(isLive),
              "pending_webhooks": 1,
              "request": {"id": null, "idempotency_key": null},
              "type": "customer.subscription.updated"
            }
            """.utf8)
    }

    static func hmac(_ body: [UInt8], _ time: Int, _ secret: String) -> String {
        Sodium.hmac(Array("\(time).".utf8) + body, key: Array(secret.utf8)).hex
    }

    static func header(_ body: [UInt8], _ time: Int, _ secret: String) -> String {
        "t=\(time),v1=\(hmac(body, time, secret))"
    }
}
