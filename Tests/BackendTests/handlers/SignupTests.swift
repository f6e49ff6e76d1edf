import Common
import TestSupport
import Testing

@Suite(.threads)
struct SignupTests {
    let backend: Backend

    init() throws { backend = try Backend() }

    @Test
    func `A new number is signed up`() throws {
        let answer = try backend.call(
            "signup", body: ["mobile": "+91 98765-43210", "username": "Asha", "password": "correct horse battery"])
        #expect(answer.status == 201)
        #expect(answer.header("Content-Type") == "application/json")
        let user = answer.json["user"]
        let names: Set = [
            "id", "mobile", "username", "timezone", "retention_days", "tier", "mobile_verified", "created_at",
        ]
        #expect(user.names == names)
        #expect(user["mobile"] == "+919876543210")
        #expect(user["username"] == "Asha")
        #expect(user["tier"] == "basic")
        #expect(user["mobile_verified"] == false)
        #expect(user["created_at"].text?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)/) != nil)
    }

    @Test
    func `A username may be left out, and is null then`() throws {
        let answer = try backend.call("signup", body: ["mobile": "919876543210"])
        #expect(answer.status == 201)
        #expect(answer.json["user"]["username"] == .null)
    }

    @Test
    func `A number that was never verified may be signed up again, by whoever proves it later`() throws {
        let first = try backend.call("signup", body: ["mobile": "+919876543210", "username": "Squatter"])
        let again = try backend.call("signup", body: ["mobile": "91 9876 543210", "username": "Owner"])
        #expect(again.status == 201)
        #expect(again.json["user"]["username"] == "Owner")
        #expect(again.json["user"]["id"] == first.json["user"]["id"])
    }

    @Test
    func `A verified number is taken, however it is written`() throws {
        let person = try backend.signIn()
        for spelling in [person.mobile, String(person.mobile.dropFirst()), "(\(person.mobile)) "] {
            expectProblem(try backend.call("signup", body: ["mobile": .string(spelling)]), 409, "mobile_taken")
        }
    }

    @Test(arguments: [
        "", "+", "12345", "+1234567890123456", "98765x43210", "++919876543210", "٩٨٧٦٥٤٣٢١٠", "91,9876543210",
    ])
    func `What is no number is refused by name`(mobile: String) throws {
        let answer = try backend.call("signup", body: ["mobile": .string(mobile)])
        expectProblem(answer, 422)
        #expect(answer.json["errors"][0]["field"] == "mobile")
    }

    @Test
    func `Lengths are counted in characters, at both ends`() throws {
        func status(_ body: JSONValue) throws -> Int { try backend.call("signup", body: body).status }
        let mobile: JSONValue = "+919876543210"
        #expect(try status(["mobile": mobile, "username": .string(String(repeating: "é", count: 80))]) == 201)
        #expect(try status(["mobile": mobile, "username": .string(String(repeating: "é", count: 81))]) == 422)
        #expect(try status(["mobile": mobile, "username": ""]) == 422)
        #expect(try status(["mobile": mobile, "password": "1234567"]) == 422)
        #expect(try status(["mobile": mobile, "password": .string(String(repeating: "😀", count: 128))]) == 201)
        #expect(try status(["mobile": mobile, "password": .string(String(repeating: "x", count: 129))]) == 422)
    }

    @Test
    func `Only an argon2id hash of the password is kept`() throws {
        let password = "correct horse battery"
        _ = try backend.call("signup", body: ["mobile": "+919876543210", "password": .string(password)])
        // Anybody may have sent it.
        #expect(try backend.database.connect().row(Bool.self, "select password_hash is null from users") == true)
        _ = try backend.signIn(mobile: "+919876543210", password: password)
        let hash = try backend.database.connect().row(String.self, "select password_hash from users") ?? ""
        #expect(hash.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$"))
        #expect(!hash.contains(password))
    }

    @Test
    func `One of the most common passwords is refused by name`() throws {
        for password in ["password", "BASEBALL", "1234567890"] {
            let answer = try backend.call("signup", body: ["mobile": "+919876543210", "password": .string(password)])
            expectProblem(answer, 422, "invalid")
            #expect(answer.json["errors"][0]["field"] == "password")
        }
    }

    @Test
    func `Many signups of one number at once make one user`() throws {
        let backend = try Backend(processes: 4)
        let statuses = try concurrently(16) { _ in try backend.call("signup", body: ["mobile": "+919876543210"]).status
        }
        #expect(statuses.allSatisfy { $0 == 201 })
        #expect(try backend.database.connect().row(Int.self, "select count(*) from users") == 1)
    }

    @Test
    func `An address signs up so many in an hour, taken or not, at once or one after the other`() throws {
        let backend = try Backend(["OTP_PER_ADDRESS_HOUR": "4"], processes: 4)
        let person = try backend.signIn()
        @Sendable func signUp(_ mobile: String, from address: String) throws -> Answer {
            try backend.call("signup", path: ["REMOTE_ADDR": address], body: ["mobile": .string(mobile)])
        }
        let answers = try concurrently(12) { number in
            try signUp(number % 2 == 0 ? person.mobile : Backend.mobile(), from: "2001:db8::\(number)")
        }
        #expect(answers.count { [201, 409].contains($0.status) } == 4)
        let users = try backend.database.connect().row(Int.self, "select count(*) from users")
        #expect(users == 1 + answers.count { $0.status == 201 })
        for refused in answers.filter({ ![201, 409].contains($0.status) }) {
            expectProblem(refused, 429, "signup_limit_reached")
            #expect((3_500...3_600).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
        }
        #expect(try signUp(Backend.mobile(), from: "2001:db8:0:1::1").status == 201)
        // Codes are counted by themselves.
        let sent = try backend.call(
            "send-otp", path: ["REMOTE_ADDR": "2001:db8::1"], body: ["mobile": .string(person.mobile)])
        expectProblem(sent, 429, "otp_too_soon")
        try backend.database.connect().execute(
            "update otp_sends set sent = array(select t - interval '1 hour' from unnest(sent) t)")
        #expect(try signUp(Backend.mobile(), from: "2001:db8::1").status == 201)
    }

    @Test
    func `Where it is to be concealed, a number with an account is answered like any other, and stays as it is`() throws
    {
        let backend = try Backend(["SIGNUP_CONCEALS": "on", "OTP_RESEND_SECONDS": "0"])
        let database = backend.database.connect()
        let taken = try backend.signIn()
        _ = try backend.call("update-me", token: taken.token, body: ["username": "Owner", "timezone": "Asia/Kolkata"])
        let before = try database.row(String.self, "select users::text from users")
        var (ids, forms): (Set<String>, Set<String>) = ([], [])
        let unknown = Backend.mobile()
        for mobile in [taken.mobile, unknown, unknown, taken.mobile] {
            let answer = try backend.call(
                "signup",
                body: ["mobile": .string(mobile), "username": "Somebody", "password": "correct horse battery"])
            #expect(answer.status == 201)
            let user = answer.json["user"]
            #expect(user["mobile"].text == mobile && user["username"] == "Somebody")
            #expect(user["mobile_verified"] == false && user["timezone"] == "UTC")
            ids.insert(user["id"].text ?? "")
            forms.insert(
                answer.headers.map(\.name).description
                    + answer.text.replacing(mobile, with: "").replacing(/"id":"[^"]*"/, with: "")
                    .replacing(/"created_at":"[^"]*"/, with: ""))
        }
        #expect(forms.count == 1 && ids.count == 4, "\(forms)")
        #expect(!ids.contains(taken.id))
        #expect(try database.row(String.self, "select users::text from users where id = \(taken.id)::uuid") == before)
        // Whoever gets the code is let in: the owner to their account, anybody else to a new one.
        for (mobile, name) in [(taken.mobile, "Owner"), (unknown, "Somebody")] {
            let code = try backend.call("send-otp", body: ["mobile": .string(mobile)]).json["otp"]
            let answer = try backend.call(
                "verify-otp", body: ["mobile": .string(mobile), "otp": code, "username": .string(name)])
            #expect(answer.status == 200 && answer.json["user"]["username"].text == name)
        }
        expectProblem(
            try backend.call("login", body: ["mobile": .string(taken.mobile), "password": "correct horse battery"]),
            401,
            "credentials_invalid")
    }
}
