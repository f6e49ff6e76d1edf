import TestSupport
import Testing

@Suite(.threads)
struct RevokeOtherSessionsTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        person = try backend.signIn()
    }

    @Test
    func `All sessions of the caller's but this one are ended at the very next request`() throws {
        let others = try (0..<3).map { _ in try backend.signIn(mobile: person.mobile) }
        let stranger = try backend.signIn()
        for other in others { #expect(try backend.call("get-me", token: other.token).status == 200) }
        let answer = try backend.call("revoke-other-sessions", token: person.token)
        #expect(answer.status == 204 && answer.body.isEmpty)
        for other in others {
            expectProblem(try backend.call("get-me", token: other.token), 401, "session_ended")
        }
        for token in [person.token, stranger.token] {
            #expect(try backend.call("get-me", token: token).status == 200)
        }
    }

    @Test
    func `Each is recorded, and those that had ended are not`() throws {
        let database = backend.database.connect()
        _ = try backend.signIn(mobile: person.mobile)
        #expect(try backend.call("revoke-other-sessions", token: person.token).status == 204)
        for _ in 0..<2 { _ = try backend.signIn(mobile: person.mobile) }
        #expect(try backend.call("revoke-other-sessions", token: person.token).status == 204)
        let revoked = try database.rows(
            String.self, "select distinct detail->>'session_id' from security_events where kind = 'session_revoked'")
        #expect(revoked.count == 3)
        #expect(try database.row(Int.self, "select count(*) from sessions where end_reason = 'revoked'") == 3)
        #expect(
            try database.row(Int.self, "select count(*) from security_events where kind = 'session_revoked'") == 3)
    }

    @Test
    func `Where there are no others nothing happens`() throws {
        #expect(try backend.call("revoke-other-sessions", token: person.token).status == 204)
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }
}
