import Common
import TestSupport
import Testing

@Suite(.threads)
struct SendOTPTests {
    let backend: Backend

    init() throws { backend = try Backend() }

    @Test
    func `A code of six digits is sent, for five minutes`() throws {
        let answer = try backend.call("send-otp", body: ["mobile": "+919876543210"])
        #expect(answer.status == 200)
        #expect(answer.json.names == ["expires_in", "resend_in", "otp"])
        #expect(answer.json["expires_in"] == 300)
        #expect(answer.json["resend_in"] == 60)
        #expect(answer.json["otp"].text?.wholeMatch(of: /[0-9]{6}/) != nil)
        let seconds = try backend.database.connect().row(
            Int.self, "select extract(epoch from expires_at - sent_at)::int from otps")
        #expect(seconds == 300)
    }

    @Test
    func `A known and an unknown number get the same answer`() throws {
        let known = try backend.signIn()
        try backend.database.connect().execute("delete from otp_sends")
        let answers = try [known.mobile, "+910000000001"].map { mobile in
            try backend.call("send-otp", body: ["mobile": .string(mobile)])
        }
        #expect(answers.map(\.status) == [200, 200])
        #expect(answers[0].json.names == answers[1].json.names)
        #expect(answers[0].headers.map(\.name) == answers[1].headers.map(\.name))
    }

    @Test
    func `A second code has to wait, and is told how long`() throws {
        _ = try backend.call("send-otp", body: ["mobile": "+919876543210"])
        let answer = try backend.call("send-otp", body: ["mobile": "919876543210"])
        expectProblem(answer, 429, "otp_too_soon")
        let wait = try #require(answer.json["resend_in"].number)
        #expect((1...60).contains(wait))
        #expect(answer.header("Retry-After") == String(Int(wait)))
        #expect(try backend.call("send-otp", body: ["mobile": "+919876543211"]).status == 200)
    }

    @Test
    func `The code is in no log where it is in the answer, and is not kept`() throws {
        let answer = try backend.call("send-otp", body: ["mobile": "+919876543210"])
        let code = try #require(answer.json["otp"].text)
        #expect(try !backend.endpoint("send-otp").processes[0].error.contains(code))
        let kept = try backend.database.connect().row(String.self, "select otps::text from otps") ?? ""
        let hash = try backend.database.connect().row(String.self, "select code_hash from otps") ?? ""
        #expect(!kept.replacing(/\.\d+/, with: "").contains("," + code) && hash != code)
        #expect(hash.wholeMatch(of: /[0-9a-f]{64}/) != nil)
        // Not a hash that everybody can compute.
        #expect(hash != Sodium.sha256(Array(code.utf8)).hex)
        #expect(hash != Sodium.sha256(Array("+919876543210\(code)".utf8)).hex)
    }

    @Test
    func `Of many requests at once one sends a code`() throws {
        let backend = try Backend(processes: 4)
        let answers = try concurrently(20) { _ in try backend.call("send-otp", body: ["mobile": "+919876543210"]) }
        #expect(answers.filter { $0.status == 200 }.count == 1)
        #expect(answers.filter { $0.status == 429 }.count == 19)
    }

    @Test
    func `Codes are spread over all six digits`() throws {
        let codes = try (0..<60).map { _ in
            try backend.call("send-otp", body: ["mobile": .string(Backend.mobile())]).json["otp"].text ?? ""
        }
        #expect(Set(codes).count >= 58)
        #expect(Set(codes.compactMap(\.first)).count >= 7)
        #expect(Set(codes.compactMap(\.last)).count >= 7)
    }
}
