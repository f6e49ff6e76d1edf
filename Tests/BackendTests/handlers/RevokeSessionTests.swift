import TestSupport
import Testing

@Suite(.threads)
struct RevokeSessionTests {
    let backend: Backend
    let person: Backend.Person
    let second: Backend.Person

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        person = try backend.signIn()
        second = try backend.signIn(mobile: person.mobile)
    }

    @Test
    func `Another session of one's own is ended at the very next request`() throws {
        #expect(try backend.call("get-me", token: second.token).status == 200)
        let answer = try revoke(second, by: person)
        #expect(answer.status == 204 && answer.body.isEmpty)
        expectProblem(try backend.call("get-me", token: second.token), 401, "session_ended")
        let refreshed = try backend.call("refresh", body: ["refresh_token": .string(second.refreshToken)])
        expectProblem(refreshed, 401, "session_ended")
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `One that has ended is 404`() throws {
        #expect(try revoke(second, by: person).status == 204)
        expectProblem(try revoke(second, by: person), 404, "not_found")
    }

    @Test
    func `Another's session is 404, like one that is nowhere, and goes on`() throws {
        let stranger = try backend.signIn()
        expectProblem(try revoke(person, by: stranger), 404, "not_found")
        for id in ["00000000-0000-7000-8000-000000000000", "x", "", "' or 1=1 --"] {
            expectProblem(
                try backend.call("revoke-session", session: id, token: stranger.token), 404, "not_found", id)
        }
        #expect(try backend.call("get-me", token: person.token).status == 200)
        let database = backend.database.connect()
        #expect(
            try database.row(Int.self, "select count(*) from security_events where kind = 'session_revoked'") == 0)
    }

    @Test
    func `One's current session may be revoked too`() throws {
        #expect(try revoke(person, by: person).status == 204)
        expectProblem(try revoke(second, by: person), 401, "session_ended")
        #expect(try backend.call("get-me", token: second.token).status == 200)
    }

    @Test
    func `It is recorded with which it was`() throws {
        _ = try revoke(second, by: person)
        let recorded = try backend.database.connect().rows(
            String.self,
            "select concat(user_id, ' ', detail->>'session_id') from security_events where kind = 'session_revoked'")
        #expect(recorded == ["\(person.id) \(try id(second))"])
    }

    private func id(_ person: Backend.Person) throws -> String {
        try #require(try Forged(person.token).claims["sid"].text)
    }

    private func revoke(_ target: Backend.Person, by person: Backend.Person) throws -> Answer {
        try backend.call("revoke-session", session: id(target), token: person.token)
    }
}
