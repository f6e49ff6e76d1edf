import Common
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

    @Test(arguments: [true, false])
    func `Where the access token has expired, or is none, the refresh token ends the session`(isSent: Bool) throws {
        var expired = try Forged(person.token)
        guard case .object(var claims) = expired.claims else { throw Executable.Failure("no claims") }
        claims["exp"] = claims["iat"]
        expired.claims = .object(claims)
        let token = isSent ? expired.signed() : nil
        expectProblem(try backend.call("logout", token: token), 401, isSent ? "token_expired" : "token_missing")
        #expect(try logout(person.refreshToken, token: token).status == 204)
        expectProblem(try backend.call("get-me", token: person.token), 401, "session_ended")
        let refreshed = try backend.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        expectProblem(refreshed, 401, "session_ended")
        let events = try backend.database.connect().rows(
            String.self, "select user_id || ' ' || kind from security_events where kind = 'signed_out'")
        #expect(events == ["\(person.id) signed_out"])
        // Whoever did not hear of it asks again.
        #expect(try logout(person.refreshToken, token: token).status == 204)
    }

    @Test
    func `Any genuine refresh token of a session ends it, and that of another ends both`() throws {
        let refreshed = try backend.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        #expect(try logout(person.refreshToken, token: nil).status == 204)
        expectProblem(try backend.call("get-me", token: refreshed.json["token"].text), 401, "session_ended")
        let (one, other) = (try backend.signIn(mobile: person.mobile), try backend.signIn())
        #expect(try logout(one.refreshToken, token: other.token).status == 204)
        for token in [one.token, other.token] {
            expectProblem(try backend.call("get-me", token: token), 401, "session_ended")
        }
    }

    @Test
    func `A forged refresh token ends nothing, and does not keep an access token from it`() throws {
        var parts = person.refreshToken.split(separator: ".").map(String.init)
        parts[3] = Sodium.base64url(Sodium.random(32))
        for text in ["", "x", parts.joined(separator: "."), person.refreshToken + "A"] {
            expectProblem(try logout(text, token: nil), 401, "refresh_invalid", text)
        }
        expectProblem(try backend.call("logout", body: ["refresh_token": .null]), 401, "token_missing")
        expectProblem(try backend.call("logout", token: person.token, body: ["refresh_token": 1]), 422, "invalid")
        #expect(try backend.call("get-me", token: person.token).status == 200)
        #expect(try logout(parts.joined(separator: "."), token: person.token).status == 204)
        expectProblem(try backend.call("get-me", token: person.token), 401, "session_ended")
    }

    private func logout(_ refreshToken: String, token: String?) throws -> Answer {
        try backend.call("logout", token: token, body: ["refresh_token": .string(refreshToken)])
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
