import Common
import TestSupport
import Testing

@Suite(.threads)
struct GetMeTests {
    let backend: Backend

    init() throws { backend = try Backend() }

    @Test
    func `The caller is shown their own account`() throws {
        let person = try backend.signIn()
        _ = try backend.signIn()
        let answer = try backend.call("get-me", token: person.token)
        #expect(answer.status == 200)
        #expect(answer.json["user"]["id"].text == person.id)
        #expect(answer.json["user"]["mobile"].text == person.mobile)
        #expect(answer.json["user"]["mobile_verified"] == true)
    }

    @Test
    func `Without a token nobody is shown`() throws {
        expectProblem(try backend.call("get-me"), 401, "token_missing")
        for header in ["", "Bearer", "Bearer ", "Basic YTpi", "Token x"] {
            expectProblem(try backend.call("get-me", headers: ["Authorization": header]), 401, nil, header)
        }
    }

    @Test
    func `The scheme is taken in any case`() throws {
        let person = try backend.signIn()
        let answer = try backend.call("get-me", headers: ["Authorization": "bearer \(person.token)"])
        #expect(answer.status == 200)
    }

    @Test
    func `The end of a session is felt at the very next request`() throws {
        let person = try backend.signIn()
        let other = try backend.signIn()
        #expect(try backend.call("get-me", token: person.token).status == 200)
        let database = backend.database.connect()
        try database.execute("update sessions set ended_at = now() where user_id = \(person.id)::uuid")
        expectProblem(try backend.call("get-me", token: person.token), 401, "session_ended")
        #expect(try backend.call("get-me", token: other.token).status == 200)
        try database.execute(
            "update sessions set expires_at = now() - interval '1 second' where user_id = \(other.id)::uuid")
        expectProblem(try backend.call("get-me", token: other.token), 401, "session_ended")
    }

    @Test
    func `A deleted user is signed out`() throws {
        let person = try backend.signIn()
        try backend.database.connect().execute("delete from users where id = \(person.id)::uuid")
        expectProblem(try backend.call("get-me", token: person.token), 401, "session_ended")
    }
}
