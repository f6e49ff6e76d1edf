import Common
import TestSupport
import Testing

@Suite(.threads)
struct VerifyOTPTests {
    let backend: Backend

    init() throws { backend = try Backend() }

    @Test
    func `The right code signs in`() throws {
        let code = try sent()
        let answer = try guess(code)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["token", "token_type", "expires_in", "refresh_token", "user"])
        #expect(answer.json["token_type"] == "Bearer")
        #expect(answer.json["expires_in"] == 3600)
        #expect(answer.json["user"]["mobile_verified"] == true)
        let token = try #require(answer.json["token"].text)
        #expect(try backend.call("get-me", token: token).status == 200)
    }

    @Test
    func `A wrong code says how many tries are left, and the fifth is the last`() throws {
        let code = try sent()
        for left in [4, 3, 2, 1, 0] {
            let answer = try guess(other(than: code))
            expectProblem(answer, 401, "otp_invalid")
            #expect(answer.json["attempts_left"].number == Double(left))
        }
        let late = try guess(code)
        expectProblem(late, 401, "otp_invalid")
        #expect(late.json["attempts_left"] == 0)
    }

    @Test
    func `The right code after four wrong ones still signs in`() throws {
        let code = try sent()
        for _ in 0..<4 { _ = try guess(other(than: code)) }
        #expect(try guess(code).status == 200)
    }

    @Test
    func `A code is good for one use`() throws {
        let code = try sent()
        #expect(try guess(code).status == 200)
        expectProblem(try guess(code), 401, "otp_invalid")
        #expect(try sessions() == 1)
    }

    @Test
    func `A code is over after its time`() throws {
        let code = try sent()
        try backend.database.connect().execute("update otps set expires_at = now() - interval '1 second'")
        expectProblem(try guess(code), 401, "otp_invalid")
        #expect(try sessions() == 0)
    }

    @Test
    func `A new code ends the one before it, and has five tries of its own`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        _ = try backend.call("signup", body: ["mobile": "+919876543210"])
        func send() throws -> String {
            try #require(try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"].text)
        }
        func guess(_ code: String) throws -> Answer {
            try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": .string(code)])
        }
        let first = try send()
        for _ in 0..<5 { _ = try guess(other(than: first)) }
        let second = try send()
        if first != second {
            let answer = try guess(first)
            expectProblem(answer, 401, "otp_invalid")
            #expect(answer.json["attempts_left"] == 4)
        }
        #expect(try guess(second).status == 200)
    }

    @Test
    func `A code belongs to its number`() throws {
        let code = try sent()
        _ = try backend.call("signup", body: ["mobile": "+919876543211"])
        let theirs = try #require(
            try backend.call("send-otp", body: ["mobile": "+919876543211"]).json["otp"].text)
        if code != theirs {
            let answer = try backend.call(
                "verify-otp", body: ["mobile": "+919876543211", "otp": .string(code)])
            expectProblem(answer, 401, "otp_invalid")
        }
        // The kept hash is bound to the number, so that a hash that is moved opens nothing.
        try backend.database.connect().execute(
            "update otps o set code_hash = (select code_hash from otps where mobile = '+919876543210'), attempts = 0")
        let moved = try backend.call("verify-otp", body: ["mobile": "+919876543211", "otp": .string(code)])
        if code != theirs { expectProblem(moved, 401, "otp_invalid") }
    }

    @Test
    func `A number without an account gets the answer of a wrong code`() throws {
        let code = try #require(try backend.call("send-otp", body: ["mobile": "+910000000001"]).json["otp"].text)
        let answer = try backend.call("verify-otp", body: ["mobile": "+910000000001", "otp": .string(code)])
        expectProblem(answer, 401, "otp_invalid")
        #expect(try sessions() == 0)
    }

    @Test
    func `Of two hundred wrong tries at once five count, and the code is dead`() throws {
        let backend = try Backend(processes: 8)
        _ = try backend.call("signup", body: ["mobile": "+919876543210"])
        let code = try #require(try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"].text)
        let wrong = other(than: code)
        let answers = try concurrently(200) { _ in
            try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": .string(wrong)])
        }
        #expect(answers.allSatisfy { $0.status == 401 })
        // Each that counted said so with a number of its own.
        let left = answers.compactMap { $0.json["attempts_left"].number }
        #expect(left.filter { $0 > 0 }.sorted() == [1, 2, 3, 4] && left.count == 200)
        let late = try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": .string(code)])
        expectProblem(late, 401, "otp_invalid")
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select attempts from otps") == 5)
        #expect(try database.row(Int.self, "select count(*) from sessions") == 0)
    }

    @Test
    func `Of two hundred right tries at once one signs in`() throws {
        let backend = try Backend(processes: 8)
        _ = try backend.call("signup", body: ["mobile": "+919876543210"])
        let code = try #require(try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"].text)
        let statuses = try concurrently(200) { _ in
            try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": .string(code)]).status
        }
        #expect(statuses.filter { $0 == 200 }.count == 1)
        #expect(try backend.database.connect().row(Int.self, "select count(*) from sessions") == 1)
    }

    @Test
    func `Of two hundred tries at once with one right at most five count, and one signs in`() throws {
        let backend = try Backend(processes: 8)
        _ = try backend.call("signup", body: ["mobile": "+919876543210"])
        let code = try #require(try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"].text)
        let wrong = other(than: code)
        let answers = try concurrently(200) { number in
            try backend.call(
                "verify-otp", body: ["mobile": "+919876543210", "otp": .string(number == 3 ? code : wrong)])
        }
        // A try that counted said so with a number of its own; the right one ends the code, or came after the fifth.
        let counted = answers.compactMap { $0.json["attempts_left"].number }.filter { $0 > 0 }
        #expect(Set(counted).count == counted.count && counted.count <= 4)
        let signedIn = answers.filter { $0.status == 200 }.count
        #expect(signedIn <= 1 && answers.filter { $0.status == 401 }.count == 200 - signedIn)
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from sessions") == signedIn)
        #expect(try database.row(Int.self, "select coalesce(max(attempts), 0) from otps") ?? 0 <= 5)
    }

    @Test
    func `A code sent under a key that has since become the second is still good`() throws {
        let code = try sent()
        let keys = (backend.settings["TOKEN_KEYS"] ?? "").split(separator: ",")
        let brandNew = "newest:" + "bmV3ZXN0IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIQ=="
        let rotated = try Backend(
            ["TOKEN_KEYS": ([brandNew] + keys.map(String.init)).joined(separator: ",")], database: backend.database)
        let answer = try rotated.call("verify-otp", body: ["mobile": "+919876543210", "otp": .string(code)])
        #expect(answer.status == 200)
    }

    @Test
    func `A refresh token is kept only as a hash`() throws {
        let answer = try guess(try sent())
        let token = try #require(answer.json["refresh_token"].text)
        let kept = try backend.database.connect().row(String.self, "select refresh_hash from sessions") ?? ""
        let secret = token.split(separator: ".").last.map(String.init) ?? ""
        #expect(kept.wholeMatch(of: /[0-9a-f]{64}/) != nil)
        #expect(!kept.contains(secret) && secret.count >= 43)
        let bytes = try #require(Sodium.decode(secret))
        #expect(Sodium.sha256(bytes).hex == kept)
    }

    @Test
    func `A stranger's password does not survive the proof of the number, whoever signed it up last`() throws {
        _ = try backend.call("signup", body: ["mobile": "+919876543210", "password": "of the owner"])
        let code = try sent(password: "of a stranger")
        // The owner is elsewhere.
        let answer = try backend.call(
            "verify-otp", body: ["mobile": "+919876543210", "otp": .string(code)],
            headers: ["User-Agent": "the owner's"])
        #expect(answer.status == 200)
        #expect(try backend.database.connect().row(Bool.self, "select password_hash is null from users") == true)
    }

    @Test
    func `What was sent at sign-up does not count, from the same address and program either`() throws {
        _ = try backend.call(
            "signup", body: ["mobile": "+919876543210", "username": "Stranger", "password": "of a stranger"])
        let code = try #require(try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"].text)
        let answer = try guess(code)
        #expect(answer.status == 200 && answer.json["user"]["username"] == .null)
        let login = try backend.call("login", body: ["mobile": "+919876543210", "password": "of a stranger"])
        expectProblem(login, 401, "credentials_invalid")
    }

    @Test
    func `The name that is sent with the first proof is kept, and a later one is not`() throws {
        _ = try backend.call("signup", body: ["mobile": "+919876543210", "username": "Stranger"])
        for (sent, name) in [("Asha", "Asha"), ("Somebody else", "Asha")] {
            try backend.database.connect().execute("delete from otp_sends")
            let code = try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"]
            let answer = try backend.call(
                "verify-otp", body: ["mobile": "+919876543210", "otp": code, "username": .string(sent)])
            #expect(answer.status == 200 && answer.json["user"]["username"].text == name)
        }
        let long = try backend.call(
            "verify-otp",
            body: ["mobile": "+919876543210", "otp": "123456", "username": .string(String(repeating: "x", count: 81))])
        expectProblem(long, 422, "invalid")
        #expect(long.json["errors"][0]["field"] == "username")
    }

    @Test
    func `Whoever proves the number says which password it has, and nobody does later`() throws {
        let code = try sent(password: "of a stranger")
        let answer = try backend.call(
            "verify-otp", body: ["mobile": "+919876543210", "otp": .string(code), "password": "of the owner"])
        #expect(answer.status == 200)
        func hash() throws -> String? {
            try backend.database.connect().row(String.self, "select password_hash from users")
        }
        #expect(try Password.matches("of the owner", hash: try hash()))
        try backend.database.connect().execute("delete from otp_sends")
        let again = try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"]
        let later = try backend.call(
            "verify-otp", body: ["mobile": "+919876543210", "otp": again, "password": "of somebody else"])
        #expect(later.status == 200)
        #expect(try Password.matches("of the owner", hash: try hash()))
    }

    @Test
    func `A wrong code sets no password`() throws {
        let code = try sent()
        let answer = try backend.call(
            "verify-otp",
            body: ["mobile": "+919876543210", "otp": .string(other(than: code)), "password": "of a stranger"])
        expectProblem(answer, 401, "otp_invalid")
        #expect(try backend.database.connect().row(Bool.self, "select password_hash is null from users") == true)
    }

    @Test(arguments: ["", "1", "12345", "1234567", "abcdef", "１２３４５６", "000000' or '1'='1", "\u{0}"])
    func `Odd codes are wrong codes or refused`(code: String) throws {
        _ = try sent()
        let answer = try guess(code)
        #expect([401, 422].contains(answer.status), "\(answer.text)")
        #expect(try sessions() == 0)
    }

    @Test
    func `A code may be entered with spaces and dashes`() throws {
        for separate in [
            { "\($0.prefix(3)) \($0.suffix(3))" }, { "\($0.prefix(3))-\($0.suffix(3))\n" }, { "\u{200E}\($0)\u{A0}" },
        ]
            as [(String) -> String]
        {
            try backend.database.connect().execute("delete from otp_sends")
            #expect(try guess(separate(try sent())).status == 200)
            try backend.database.connect().execute("delete from users")
        }
    }

    @Test
    func `What is not six digits is refused by name and is no try`() throws {
        let code = try sent()
        for text in [
            "", "1", "12345", "1234567", "abcdef", "12345a", "１２３４５６", "١٢٣٤٥٦", String(repeating: " ", count: 999),
        ] {
            let answer = try guess(text)
            expectProblem(answer, 422, "invalid", text)
            #expect(answer.json["errors"][0]["field"] == "otp")
        }
        #expect(try backend.database.connect().row(Int.self, "select attempts from otps") == 0)
        #expect(try guess(code).status == 200)
    }

    @Test
    func `A code that was sent before and arrives late says so, costs no try and opens nothing`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        func guess(_ code: String) throws -> Answer {
            try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": .string(code)])
        }
        _ = try backend.call("signup", body: ["mobile": "+919876543210"])
        let codes = try (0..<4).map { _ in
            try #require(try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"].text)
        }
        let current = try #require(codes.last)
        let late = codes.dropLast().filter { $0 != current }
        let wrong = try #require((0..<9).map { "00000\($0)" }.first { !codes.contains($0) })
        for left in [4, 3, 2, 1] {
            #expect(try guess(wrong).json["attempts_left"].number == Double(left))
            for code in late {
                let answer = try guess(code)
                expectProblem(answer, 401, "otp_superseded")
                #expect(answer.json["attempts_left"].number == Double(left))
            }
        }
        // The bound of five tries holds for all of them together.
        #expect(try guess(wrong).json["attempts_left"] == 0)
        for code in codes { expectProblem(try guess(code), 401, "otp_invalid") }
        #expect(try backend.database.connect().row(Int.self, "select count(*) from sessions") == 0)
    }

    @Test
    func `A code that was used or tried out is not known as one that arrived late`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        _ = try backend.call("signup", body: ["mobile": "+919876543210"])
        func send() throws -> JSONValue { try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"] }
        func guess(_ code: JSONValue) throws -> Answer {
            try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": code])
        }
        let used = try send()
        #expect(try guess(used).status == 200)
        let next = try send()
        if used != next { expectProblem(try guess(used), 401, "otp_invalid") }
        #expect(try guess(next).status == 200)
    }

    private func sent(password: String? = nil) throws -> String {
        _ = try backend.call(
            "signup", body: ["mobile": "+919876543210", "password": password.map { .string($0) } ?? .null])
        return try #require(try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"].text)
    }

    private func guess(_ code: String) throws -> Answer {
        try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": .string(code)])
    }

    private func other(than code: String) -> String { code == "000000" ? "000001" : "000000" }

    private func sessions() throws -> Int {
        try backend.database.connect().row(Int.self, "select count(*) from sessions") ?? -1
    }
}
