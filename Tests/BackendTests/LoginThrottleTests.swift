import Common
import TestSupport
import Testing

/// Guessing by one does not keep another from signing in.
@Suite(.threads)
struct LoginThrottleTests {
    private let backend: Backend
    private let owner: Backend.Person
    private var database: Database { backend.database.connect() }
    private static let password = "correct horse battery"
    /// Where the owner has signed in, somewhere else, and where a stranger is.
    private static let (home, away, stranger) = ("192.0.2.1", "192.0.2.99", "203.0.113.7")

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        owner = try LoginThrottleTests.owner(of: backend)
    }

    /// Somebody with a password who has signed in at home.
    private static func owner(of backend: Backend) throws -> Backend.Person {
        let mobile = Backend.mobile()
        _ = try backend.call("signup", body: ["mobile": .string(mobile)])
        let person = try backend.signIn(mobile: mobile, from: home)
        try backend.database.connect().execute(
            "update users set password_hash = \(try Password.hash(password)) where id = \(person.id)::uuid")
        return person
    }

    private func login(
        _ password: String = LoginThrottleTests.password, from address: String, agent: String? = nil,
        mobile: String? = nil, of backend: Backend? = nil
    ) throws -> Answer {
        try (backend ?? self.backend).call(
            "login", path: ["REMOTE_ADDR": address],
            body: ["mobile": .string(mobile ?? owner.mobile), "password": .string(password)],
            headers: agent.map { ["User-Agent": $0] } ?? [:])
    }

    private func failures(_ key: String) throws -> Int? {
        try database.row(Int.self, "select failures from login_failures where key = \(key)")
    }

    /// Lets all waits end.
    private func pass() throws {
        try database.execute("update login_failures set until = '-infinity' where until < now() + interval '2 hours'")
    }

    // MARK: One address, many people

    @Test
    func `A right password leaves the address as it was, also beyond its limit`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "3", "OTP_RESEND_SECONDS": "0"])
        let owner = try LoginThrottleTests.owner(of: backend)
        let database = backend.database.connect()
        for _ in 0..<4 {
            _ = try login("wrong horse", from: "192.0.2.5", mobile: Backend.mobile(), of: backend)
            try database.execute("update login_failures set until = '-infinity'")
        }
        for _ in 0..<3 {
            #expect(try login(from: "192.0.2.5", mobile: owner.mobile, of: backend).status == 200)
        }
        let row = try database.row(
            String.self,
            "select failures || ' ' || (until > now()) from login_failures where key = 'address:192.0.2.5'")
        #expect(row == "4 false")
    }

    @Test
    func `Failures of an address are forgotten one an hour, while people sign in there`() throws {
        let key = "address:\(LoginThrottleTests.away)"
        for _ in 0..<4 { _ = try login("wrong horse", from: LoginThrottleTests.away, mobile: Backend.mobile()) }
        #expect(try failures(key) == 4)
        for left in [3, 2, 1, 0, 0] {
            // The signing in between does not begin the hour anew.
            for _ in 0..<2 {
                try database.execute(
                    "update login_failures set failed_at = failed_at - interval '31 minutes' where key = \(key)")
                #expect(try login(from: LoginThrottleTests.away).status == 200)
            }
            #expect(try failures(key) == left)
        }
    }

    @Test
    func `A known device does not wait for what others fail at its address`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "3", "OTP_RESEND_SECONDS": "0"])
        let owner = try LoginThrottleTests.owner(of: backend)
        for _ in 0..<3 {
            _ = try login("wrong horse", from: LoginThrottleTests.home, mobile: Backend.mobile(), of: backend)
        }
        let elsewhere = try LoginThrottleTests.owner(of: backend)
        try backend.database.connect().execute(
            "update sessions set ip = '192.0.2.2' where user_id = \(elsewhere.id)::uuid")
        let refused = try login(from: LoginThrottleTests.home, mobile: elsewhere.mobile, of: backend)
        expectProblem(refused, 429, "login_too_soon")
        #expect(try login(from: LoginThrottleTests.home, mobile: owner.mobile, of: backend).status == 200)
    }

    @Test
    func `Without limits by address one address may fail as often as it likes`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "0"])
        for _ in 0..<25 {
            let answer = try login("wrong horse", from: "192.0.2.5", mobile: Backend.mobile(), of: backend)
            expectProblem(answer, 401, "credentials_invalid")
        }
    }

    // MARK: One number, many addresses

    @Test
    func `What an address fails is its own: another, new to the owner, is let in`() throws {
        for _ in 0..<8 { _ = try login("wrong horse", from: LoginThrottleTests.stranger) }
        let refused = try login(from: LoginThrottleTests.stranger)
        expectProblem(refused, 429, "login_too_soon")
        let wait = try #require(refused.header("Retry-After"))
        #expect(refused.json["detail"].text?.contains(wait) == true)
        #expect(try login(from: LoginThrottleTests.away).status == 200)
        // That the owner signed in gives the stranger no new tries.
        expectProblem(try login(from: LoginThrottleTests.stranger), 429, "login_too_soon")
    }

    @Test
    func `Many addresses have to wait together, a device that the owner has used does not`() throws {
        let unknown = Backend.mobile()
        for mobile in [owner.mobile, unknown] {
            for number in 0..<20 {
                let answer = try login("wrong horse", from: "203.0.113.\(number)", mobile: mobile)
                expectProblem(answer, 401, "credentials_invalid")
            }
            // Known or unknown.
            expectProblem(try login(from: LoginThrottleTests.away, mobile: mobile), 429, "login_too_soon")
        }
        #expect(try login(from: LoginThrottleTests.home).status == 200)
        #expect(try login(from: LoginThrottleTests.away).status == 200)
    }

    @Test
    func `Neither the address nor the user agent alone makes a known device`() throws {
        _ = try backend.signIn(mobile: owner.mobile, from: "2001:db8:0:7::1", agent: "of the owner")
        for number in 0..<20 { _ = try login("wrong horse", from: "203.0.113.\(number)") }
        expectProblem(try login(from: "2001:db8:0:7::1", agent: "another"), 429, "login_too_soon")
        expectProblem(try login(from: LoginThrottleTests.away, agent: "of the owner"), 429, "login_too_soon")
        // The address of a customer of IPv6 changes.
        #expect(try login(from: "2001:db8:0:7:ffff::2", agent: "of the owner").status == 200)
    }

    @Test
    func `A device whose session was revoked, or that was not used for long, is a stranger`() throws {
        for change: SQL in [
            "end_reason = 'revoked'", "end_reason = 'refresh_reused'", "last_used_at = now() - interval '91 days'",
        ] {
            try database.execute("update sessions set end_reason = null, last_used_at = now()")
            try database.execute("update sessions set \(change)")
            try database.execute("delete from login_failures")
            for number in 0..<20 { _ = try login("wrong horse", from: "203.0.113.\(number)") }
            expectProblem(try login(from: LoginThrottleTests.home), 429, "login_too_soon")
        }
    }

    @Test
    func `Strangers have fifty consecutive failures in all, and with known devices there are a hundred`() throws {
        for number in 0..<50 {
            try pass()
            _ = try login("wrong horse", from: "203.0.113.\(number)")
        }
        try pass()
        let refused = try login(from: LoginThrottleTests.away)
        expectProblem(refused, 429, "login_too_soon")
        #expect(refused.header("Retry-After").flatMap { Int($0) } ?? 0 > 29 * 86_400)
        try database.execute("update login_failures set failures = 99 where key = 'mobile:' || \(owner.mobile)::text")
        expectProblem(try login("wrong horse", from: LoginThrottleTests.home), 401, "credentials_invalid")
        expectProblem(try login(from: LoginThrottleTests.home), 429, "login_too_soon")
        // A code remains, and lets the password be tried again.
        _ = try backend.signIn(mobile: owner.mobile, from: LoginThrottleTests.away)
        #expect(try login(from: LoginThrottleTests.home).status == 200)
    }

    @Test
    func `Of many guesses at once from many addresses no more are judged than strangers have`() throws {
        let backend = try Backend(processes: 4)
        let owner = try LoginThrottleTests.owner(of: backend)
        let statuses = try concurrently(40) { number in
            try self.login("wrong horse", from: "203.0.113.\(number)", mobile: owner.mobile, of: backend).status
        }
        #expect(statuses.count { $0 == 401 } == 20 && statuses.count { $0 == 429 } == 20, "\(statuses)")
    }

    // MARK: Who is signed in

    @Test(arguments: ["change-password", "delete-me"])
    func `Strangers' failures do not keep whoever is signed in from proving it`(endpoint: String) throws {
        for number in 0..<25 { _ = try login("wrong horse", from: "203.0.113.\(number)") }
        let field = endpoint == "delete-me" ? "password" : "current_password"
        func prove(_ password: String) throws -> Answer {
            try backend.call(
                endpoint, token: owner.token, body: [field: .string(password), "new_password": "a brand new horse"])
        }
        for _ in 0..<4 { expectProblem(try prove("wrong horse"), 401, "credentials_invalid") }
        #expect(try prove(LoginThrottleTests.password).status == 204)
    }

    @Test
    func `Whoever holds a token has five tries there, which lock nobody out`() throws {
        for _ in 0..<5 {
            _ = try backend.call(
                "change-password", token: owner.token,
                body: ["current_password": "wrong horse", "new_password": "a brand new horse"])
        }
        let refused = try backend.call("delete-me", token: owner.token, body: ["password": "wrong horse"])
        expectProblem(refused, 429, "login_too_soon")
        #expect(try login(from: LoginThrottleTests.away).status == 200)
    }

    // MARK: Codes

    @Test
    func `A stranger uses up no code that somebody else waits for`() throws {
        let sent = try backend.call(
            "send-otp", path: ["REMOTE_ADDR": LoginThrottleTests.away], body: ["mobile": .string(owner.mobile)])
        let code = try #require(sent.json["otp"].text)
        func guess(_ code: String, from address: String) throws -> Answer {
            try backend.call(
                "verify-otp", path: ["REMOTE_ADDR": address],
                body: ["mobile": .string(owner.mobile), "otp": .string(code)])
        }
        let wrong = code == "000000" ? "000001" : "000000"
        let left = try (0..<8).map { _ in
            let answer = try guess(wrong, from: LoginThrottleTests.stranger)
            expectProblem(answer, 401, "otp_invalid")
            return answer.json["attempts_left"].number
        }
        #expect(left == [1, 0, 0, 0, 0, 0, 0, 0])
        // Nor would the right one be looked at.
        expectProblem(try guess(code, from: LoginThrottleTests.stranger), 401, "otp_invalid")
        #expect(try guess(wrong, from: LoginThrottleTests.away).json["attempts_left"] == 2)
        #expect(try guess(code, from: LoginThrottleTests.away).status == 200)
    }

    @Test
    func `A code may be entered elsewhere`() throws {
        let sent = try backend.call(
            "send-otp", path: ["REMOTE_ADDR": LoginThrottleTests.away], body: ["mobile": .string(owner.mobile)])
        let answer = try backend.call(
            "verify-otp", path: ["REMOTE_ADDR": LoginThrottleTests.home],
            body: ["mobile": .string(owner.mobile), "otp": sent.json["otp"]])
        #expect(answer.status == 200)
    }
}
