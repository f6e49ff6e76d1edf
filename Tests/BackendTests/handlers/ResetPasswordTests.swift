import Common
import TestSupport
import Testing

@Suite(.threads)
struct ResetPasswordTests {
    let backend: Backend

    init() throws { backend = try Backend() }

    private func code(_ mobile: String) throws -> String {
        try backend.database.connect().execute("delete from otp_sends")
        return try #require(try backend.call("forgot-password", body: ["mobile": .string(mobile)]).json["otp"].text)
    }

    private func reset(_ mobile: String, _ code: String, _ password: String = "correct horse") throws -> Answer {
        try backend.call(
            "reset-password",
            body: ["mobile": .string(mobile), "otp": .string(code), "new_password": .string(password)])
    }

    private func passwordHash() throws -> String? {
        try backend.database.connect().rows(String.self, "select coalesce(password_hash, '') from users").first
    }

    @Test
    func `The right code sets the password, and every session ends`() throws {
        let person = try backend.signIn()
        try backend.database.connect().execute("delete from otp_sends")
        let elsewhere = try backend.signIn(mobile: person.mobile)
        let stranger = try backend.signIn()
        let database = backend.database.connect()
        try database.execute(
            "insert into login_failures values ('mobile:' || \(person.mobile)::text, 9, now(), now() + interval '1 hour')"
        )
        let answer = try reset(person.mobile, try code(person.mobile))
        #expect(answer.status == 204 && answer.body.isEmpty, "\(answer.text)")
        let hash = try database.row(
            String.self, "select password_hash from users where id = \(person.id)::uuid")
        #expect(try Password.matches("correct horse", hash: hash))
        #expect(try !Password.matches("correct horses", hash: hash))
        for token in [person.token, elsewhere.token] {
            expectProblem(try backend.call("get-me", token: token), 401, "session_ended")
        }
        #expect(try backend.call("get-me", token: stranger.token).status == 200)
        #expect(
            try database.rows(
                String.self, "select user_id || ' ' || kind from security_events where kind like 'password%'")
                == ["\(person.id) password_reset"])
        #expect(try database.row(Int.self, "select count(*) from login_failures") == 0)
    }

    @Test
    func `Whoever signed up and forgot the password before the number was proven has proven it by this`() throws {
        _ = try backend.call(
            "signup", body: ["mobile": "+919876543210", "username": "Stranger", "password": "of a stranger"])
        #expect(try reset("+919876543210", try code("+919876543210")).status == 204)
        let database = backend.database.connect()
        #expect(try database.row(Bool.self, "select mobile_verified_at is not null from users") == true)
        #expect(try Password.matches("correct horse", hash: try passwordHash()))
        #expect(try database.row(Bool.self, "select username is null from users") == true)
        expectProblem(try backend.call("signup", body: ["mobile": "+919876543210"]), 409, "mobile_taken")
    }

    @Test
    func `A wrong code says how many tries are left, changes nothing, and the fifth is the last`() throws {
        let person = try backend.signIn()
        let code = try code(person.mobile)
        let wrong = code == "000000" ? "000001" : "000000"
        for left in [4, 3, 2, 1, 0] {
            let answer = try reset(person.mobile, wrong)
            expectProblem(answer, 401, "otp_invalid")
            #expect(answer.json["attempts_left"].number == Double(left))
        }
        expectProblem(try reset(person.mobile, code), 401, "otp_invalid")
        #expect(try passwordHash() == "")
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `Of many right tries at once one sets its password`() throws {
        let backend = try Backend(processes: 4)
        let person = try backend.signIn()
        try backend.database.connect().execute("delete from otp_sends")
        let code = try backend.call("forgot-password", body: ["mobile": .string(person.mobile)]).json["otp"]
        let statuses = try concurrently(20) { number in
            try backend.call(
                "reset-password",
                body: [
                    "mobile": .string(person.mobile), "otp": code, "new_password": .string("correct horse \(number)"),
                ]
            ).status
        }
        #expect(statuses.filter { $0 == 204 }.count == 1)
        #expect(statuses.filter { $0 == 401 }.count == 19)
        let winner = try #require(statuses.firstIndex(of: 204))
        let hash = try backend.database.connect().row(String.self, "select password_hash from users")
        #expect(try Password.matches("correct horse \(winner)", hash: hash))
    }

    @Test
    func `The right code of a number without an account is a wrong one`() throws {
        let answer = try reset("+919876543210", try code("+919876543210"))
        expectProblem(answer, 401, "otp_invalid")
        #expect(answer.json["attempts_left"] == 0)
        #expect(try backend.database.connect().row(Int.self, "select count(*) from users") == 0)
    }

    @Test
    func `A code that is over sets nothing`() throws {
        let person = try backend.signIn()
        let code = try code(person.mobile)
        try backend.database.connect().execute("update otps set expires_at = now() - interval '1 second'")
        expectProblem(try reset(person.mobile, code), 401, "otp_invalid")
        #expect(try passwordHash() == "")
    }

    @Test
    func `A code may be separated, is no try where it is none, and one that arrives late says so`() throws {
        let person = try backend.signIn()
        let (late, current) = (try code(person.mobile), try code(person.mobile))
        if late != current { expectProblem(try reset(person.mobile, late), 401, "otp_superseded") }
        expectProblem(try reset(person.mobile, "12345"), 422, "invalid")
        let attempts = try backend.database.connect().row(Int.self, "select attempts from otps where purpose = 'reset'")
        #expect(attempts == 0)
        #expect(try reset(person.mobile, "\(current.prefix(3)) - \(current.suffix(3))").status == 204)
    }

    @Test(arguments: ["password", "PassWord1", "12345678", "qwertyuiop", "greyhoun"])
    func `What everybody chooses is refused by name, in any case, and uses up no code`(password: String) throws {
        let person = try backend.signIn()
        let code = try code(person.mobile)
        let answer = try reset(person.mobile, code, password)
        expectProblem(answer, 422, "invalid")
        #expect(answer.json["errors"][0]["field"] == "new_password")
        #expect(answer.json["errors"][0]["detail"] == "is one of the most common passwords")
        #expect(try reset(person.mobile, code, password + " of mine").status == 204)
    }
}
