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
}
