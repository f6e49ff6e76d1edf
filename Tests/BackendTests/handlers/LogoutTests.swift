import TestSupport
import Testing

@Suite(.threads)
struct LogoutTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        person = try backend.signIn()
    }

    @Test
    func `Whoever signs out is signed out at the very next request`() throws {
        #expect(try backend.call("get-me", token: person.token).status == 200)
        let answer = try backend.call("logout", token: person.token)
        #expect(answer.status == 204 && answer.body.isEmpty)
        expectProblem(try backend.call("get-me", token: person.token), 401, "session_ended")
        expectProblem(try backend.call("logout", token: person.token), 401, "session_ended")
        let refreshed = try backend.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        expectProblem(refreshed, 401, "session_ended")
    }

    @Test
    func `Other sessions of theirs, and of others, go on`() throws {
        let second = try backend.signIn(mobile: person.mobile)
        let stranger = try backend.signIn()
        #expect(try backend.call("logout", token: person.token).status == 204)
        for token in [second.token, stranger.token] {
            #expect(try backend.call("get-me", token: token).status == 200)
        }
    }

    @Test
    func `It is recorded with where it came from`() throws {
        _ = try backend.call("logout", token: person.token, headers: ["User-Agent": "A tab"])
        let recorded = try backend.database.connect().rows(
            String.self,
            """
            select concat_ws(' ', e.user_id, host(e.ip), e.user_agent, e.detail->>'session_id' = s.id::text, s.end_reason)
            from security_events e, sessions s where e.kind = 'signed_out'
            """)
        #expect(recorded == ["\(person.id) 127.0.0.1 A tab t signed_out"])
    }
}
