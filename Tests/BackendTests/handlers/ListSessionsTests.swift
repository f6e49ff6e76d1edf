import TestSupport
import Testing

@Suite(.threads)
struct ListSessionsTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        person = try backend.signIn()
    }

    @Test
    func `The caller's own session is listed and marked`() throws {
        let answer = try list(person)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["sessions"])
        let sessions = answer.json["sessions"].list
        #expect(sessions.count == 1)
        #expect(sessions[0].names == ["id", "current", "created_at", "last_used_at", "ip", "user_agent"])
        #expect(sessions[0]["id"] == (try Forged(person.token)).claims["sid"])
        #expect(sessions[0]["current"] == true)
        #expect(sessions[0]["ip"] == "127.0.0.1")
        #expect(sessions[0]["user_agent"] == .null)
    }

    @Test
    func `Sessions that live are listed, that was used last before the others`() throws {
        let second = try backend.signIn(mobile: person.mobile)
        let third = try backend.signIn(mobile: person.mobile)
        #expect(try backend.call("refresh", body: ["refresh_token": .string(second.refreshToken)]).status == 200)
        let ids = try [second, third, person].map { try Forged($0.token).claims["sid"] }
        let answer = try list(person)
        #expect(answer.json["sessions"].list.map { $0["id"] } == ids)
        #expect(answer.json["sessions"].list.map { $0["current"] } == [false, false, true])
    }

    @Test
    func `Sessions that have ended or are over, and those of others, are not`() throws {
        for (change, token) in [
            ("ended_at = now()", try backend.signIn(mobile: person.mobile).token),
            ("expires_at = now()", try backend.signIn(mobile: person.mobile).token),
        ] {
            let id = try #require(try Forged(token).claims["sid"].text)
            let database = backend.database.connect()
            try database.script("update sessions set \(change) where id = '\(id)'")
        }
        let stranger = try backend.signIn()
        #expect(try list(person).json["sessions"].list.count == 1)
        #expect(try list(stranger).json["sessions"].list.count == 1)
    }

    private func list(_ person: Backend.Person) throws -> Answer {
        try backend.call("list-sessions", token: person.token)
    }
}
