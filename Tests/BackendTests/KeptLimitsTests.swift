import Common
import TestSupport
import Testing

/// Deleting an account renews no limit of its number.
@Suite(.threads)
struct KeptLimitsTests {
    private static let limits = [
        "LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "2", "PLAN_BASIC_MESSAGES_PER_MINUTE": "0",
    ]

    private func send(_ backend: Backend, _ mobile: String, by endpoint: String = "send-otp") throws -> Answer {
        try backend.call(endpoint, body: ["mobile": .string(mobile)])
    }

    /// Deletes an account, by a password that it gets for this.
    private func delete(_ person: Backend.Person, _ backend: Backend) throws {
        try backend.database.connect().execute(
            "update users set password_hash = \(try Password.hash("correct horse")) where id = \(person.id)::uuid")
        let answer = try backend.call("delete-me", token: person.token, body: ["password": "correct horse"])
        #expect(answer.status == 204, "\(answer.text)")
    }

    /// The same settings, with a newer key.
    private func rotated(_ backend: Backend) throws -> Backend {
        let keys =
            "newest:" + "bmV3ZXN0IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIQ==" + ","
            + (backend.settings["TOKEN_KEYS"] ?? "")
        return try Backend(backend.settings.merging(["TOKEN_KEYS": keys]) { $1 }, database: backend.database)
    }

    @Test
    func `Codes have to wait as they did before, also under a newer key`() throws {
        let backend = try Backend()
        let person = try backend.signIn()
        try delete(person, backend)
        for backend in [backend, try rotated(backend)] {
            for endpoint in ["send-otp", "forgot-password"] {
                expectProblem(try send(backend, person.mobile, by: endpoint), 429, "otp_too_soon")
            }
        }
    }

    @Test
    func `Codes of the day are counted over all accounts of a number`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        let database = backend.database.connect()
        let mobile = Backend.mobile()
        for _ in 0..<10 {
            _ = try backend.call("signup", body: ["mobile": .string(mobile)])
            try delete(try backend.signIn(mobile: mobile), backend)
            try database.execute(
                "update otp_sends set sent = array(select t - interval '11 minutes' from unnest(sent) t)")
        }
        expectProblem(try send(backend, mobile), 429, "otp_limit")
    }

    @Test(arguments: [false, true])
    func `Messages of the day are counted over all accounts of a number`(isReset: Bool) throws {
        let world = try Quotas(KeptLimitsTests.limits.merging(["OTP_RESEND_SECONDS": "0"]) { $1 })
        for _ in 0..<2 { #expect(try world.send("Hello").status == 202) }
        expectProblem(try world.send("Hello"), 429, "daily_limit_reached")
        var (person, backend) = (world.person, world.backend)
        for round in 0..<2 {
            try delete(person, backend)
            if round == 1 { backend = try rotated(backend) }
            _ = try backend.call("signup", body: ["mobile": .string(person.mobile)])
            if isReset {
                // By which a number is proven too.
                let code = try send(backend, person.mobile, by: "forgot-password").json["otp"]
                let answer = try backend.call(
                    "reset-password",
                    body: ["mobile": .string(person.mobile), "otp": code, "new_password": "correct horse"])
                #expect(answer.status == 204)
            }
            person = try backend.signIn(mobile: person.mobile)
            let usage = try backend.call("get-usage", token: person.token).json["daily"]
            #expect(usage["used"] == 2 && usage["remaining"] == 0)
            let refused = try backend.call(
                "send-message", room: backend.room(person), token: person.token, body: ["content": "Hello"])
            expectProblem(refused, 429, "daily_limit_reached")
        }
        // Until the day ends.
        try world.database.execute("update users set usage_day_until = now()")
        try world.database.execute("update usage_days set day = day - 1")
        #expect(try backend.post("Hello", backend.room(person), person) != "")
    }

    @Test
    func `Another number begins with nothing used`() throws {
        let world = try Quotas(KeptLimitsTests.limits)
        _ = try world.send("Hello")
        try delete(world.person, world.backend)
        let usage = try world.backend.call("get-usage", token: world.backend.signIn().token).json["daily"]
        #expect(usage["used"] == 0)
    }

    @Test
    func `What is kept names nobody, and goes when it limits nothing any more`() throws {
        let world = try Quotas(KeptLimitsTests.limits)
        _ = try world.send("Hello")
        try delete(world.person, world.backend)
        let dump = try world.backend.database.dump()
        #expect(dump.filter { $0.contains(world.person.id) || $0.contains(world.person.mobile.dropFirst()) } == [])
        let key = try #require(try world.database.row(String.self, "select key from kept_usage"))
        #expect(try world.database.row(Int.self, "select count(*) from otp_sends where key = \(key)") == 1)
        // Not a hash that everybody can compute.
        #expect(key != "kept:" + Sodium.sha256(Array(world.person.mobile.utf8)).hex)
        try world.database.execute("update kept_usage set ends_at = now() - interval '3 days'")
        try world.database.execute("update otp_sends set sent = array[now() - interval '25 hours']")
        #expect(try world.backend.worker(seconds: 0).wait() == .code(0))
        #expect(try world.count("kept_usage") == 0 && world.count("otp_sends") == 0)
    }
}
