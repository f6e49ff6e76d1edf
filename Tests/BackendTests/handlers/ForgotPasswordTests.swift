import TestSupport
import Testing

@Suite(.threads)
struct ForgotPasswordTests {
    let backend: Backend

    init() throws { backend = try Backend(["OTP_RESEND_SECONDS": "0"]) }

    @Test
    func `A code is sent as by send-otp`() throws {
        let answer = try backend.call("forgot-password", body: ["mobile": "+919876543210"])
        #expect(answer.status == 200)
        #expect(answer.json.names == ["expires_in", "resend_in", "otp"])
        #expect(answer.json["expires_in"] == 300)
        #expect(answer.json["otp"].text?.wholeMatch(of: /[0-9]{6}/) != nil)
    }

    @Test
    func `Its code does not sign in, and one for signing in sets no password`() throws {
        let person = try backend.signIn()
        func code(_ endpoint: String) throws -> JSONValue {
            try backend.call(endpoint, body: ["mobile": .string(person.mobile)]).json["otp"]
        }
        let reset = try code("forgot-password")
        let mobile = JSONValue.string(person.mobile)
        expectProblem(try backend.call("verify-otp", body: ["mobile": mobile, "otp": reset]), 401, "otp_invalid")
        let signIn = try code("send-otp")
        expectProblem(try backend.call("verify-otp", body: ["mobile": mobile, "otp": reset]), 401, "otp_invalid")
        let answer = try backend.call(
            "reset-password", body: ["mobile": mobile, "otp": signIn, "new_password": "correct horse"])
        expectProblem(answer, 401, "otp_invalid")
        // Even the kept hash is bound to what the code is for.
        let database = backend.database.connect()
        try database.execute(
            "update otps o set code_hash = (select code_hash from otps where purpose = 'reset') where purpose = 'sign_in'"
        )
        expectProblem(try backend.call("verify-otp", body: ["mobile": mobile, "otp": reset]), 401, "otp_invalid")
        #expect(try database.row(Bool.self, "select password_hash is null from users") == true)
        #expect(try database.row(Int.self, "select count(*) from sessions") == 1)
        let right = try backend.call(
            "reset-password", body: ["mobile": mobile, "otp": reset, "new_password": "correct horse"])
        #expect(right.status == 204)
    }
}
