import Common
import TestSupport
import Testing

@Suite(.threads)
struct ChangePasswordTests {
    let backend: Backend
    let person: Backend.Person
    let database: Database

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        person = try backend.signIn()
        database = backend.database.connect()
    }

    private func change(_ current: String?, _ new: String = "a brand new horse") throws -> Answer {
        var body: [String: JSONValue] = ["new_password": .string(new)]
        if let current { body["current_password"] = .string(current) }
        return try backend.call("change-password", token: person.token, body: .object(body))
    }

    private func setPassword() throws {
        try database.execute("update users set password_hash = \(try Password.hash("correct horse"))")
    }

    private func has(_ password: String) throws -> Bool {
        try Password.matches(password, hash: database.row(String.self, "select password_hash from users"))
    }

    @Test
    func `The current password is exchanged for another, and every other session ends`() throws {
        try setPassword()
        let elsewhere = try backend.signIn(mobile: person.mobile)
        let answer = try change("correct horse")
        #expect(answer.status == 204 && answer.body.isEmpty, "\(answer.text)")
        #expect(try has("a brand new horse"))
        #expect(try backend.call("get-me", token: person.token).status == 200)
        expectProblem(try backend.call("get-me", token: elsewhere.token), 401, "session_ended")
        let events = try database.rows(String.self, "select kind from security_events where kind = 'password_changed'")
        #expect(events.count == 1)
        #expect(try database.row(Int.self, "select count(*) from login_failures") == 0)
    }

    @Test
    func `A wrong current password changes nothing, and after five the next has to wait, longer each time`() throws {
        try setPassword()
        var began = now()
        for _ in 0..<5 {
            began = now()
            expectProblem(try change("wrong horse"), 401, "credentials_invalid")
        }
        for wait in [30.0, 60, 120] {
            // Not even the right one is looked at.
            let answer = try change("correct horse")
            expectProblem(answer, 429, "login_too_soon")
            let seconds = answer.header("Retry-After").flatMap { Double($0) } ?? 0
            #expect(seconds > wait - 2 - (now() - began) && seconds <= wait)
            try database.execute("update login_failures set until = now()")
            began = now()
            expectProblem(try change("wrong horse"), 401, "credentials_invalid")
        }
        #expect(try has("correct horse"))
        try database.execute("update login_failures set until = now(), failures = 1000")
        expectProblem(try change("wrong horse"), 401, "credentials_invalid")
        #expect(
            try database.row(
                Bool.self,
                "select until between now() + interval '50 minutes' and now() + interval '1 hour' from login_failures")
                == true)
        try database.execute("update login_failures set until = now()")
        #expect(try change("correct horse").status == 204)
        #expect(try database.row(Int.self, "select count(*) from login_failures") == 0)
    }

    @Test
    func `Of many wrong ones at once no more are looked at than of those one after the other`() throws {
        let backend = try Backend(processes: 4)
        let person = try backend.signIn()
        let database = backend.database.connect()
        try database.execute("update users set password_hash = \(try Password.hash("correct horse"))")
        let statuses = try concurrently(24) { _ in
            try backend.call(
                "change-password", token: person.token,
                body: ["current_password": "wrong horse", "new_password": "a brand new horse"]
            ).status
        }
        #expect(statuses.filter { $0 == 401 }.count <= 5 && statuses.contains(401))
        #expect(statuses.allSatisfy { [401, 429].contains($0) })
    }

    @Test
    func `Who has a password has to give it`() throws {
        try setPassword()
        let answer = try change(nil)
        expectProblem(answer, 422, "invalid")
        #expect(answer.json["errors"][0]["field"] == "current_password")
        #expect(try has("correct horse"))
    }

    @Test
    func `A first password is set without one, for five minutes after signing in by a code`() throws {
        try database.execute("update sessions set created_at = now() - interval '5 minutes'")
        expectProblem(try change(nil), 403, "reauthentication_required")
        try database.execute("update sessions set created_at = now() - interval '4 minutes', signed_in_by = 'password'")
        expectProblem(try change(nil), 403, "reauthentication_required")
        try database.execute("update sessions set signed_in_by = null")
        expectProblem(try change(nil), 403, "reauthentication_required")
        #expect(try database.row(Bool.self, "select password_hash is null from users") == true)
        try database.execute("update sessions set signed_in_by = 'otp'")
        #expect(try change(nil).status == 204)
        #expect(try has("a brand new horse"))
    }

    @Test
    func `Of two changes at once that know the same password one is made`() throws {
        let backend = try Backend(processes: 2)
        let person = try backend.signIn()
        let statuses = try concurrently(2) { number in
            try backend.call(
                "change-password", token: person.token, body: ["new_password": .string("brand new horse \(number)")]
            ).status
        }
        let winner = try #require(statuses.firstIndex(of: 204))
        #expect(statuses.filter { $0 == 204 }.count == 1, "\(statuses)")
        let hash = try backend.database.connect().row(String.self, "select password_hash from users")
        #expect(try Password.matches("brand new horse \(winner)", hash: hash))
    }

    @Test
    func `What everybody chooses is refused`() throws {
        let answer = try change(nil, "Superman")
        expectProblem(answer, 422, "invalid")
        #expect(answer.json["errors"][0]["field"] == "new_password")
    }
}
