import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct RefreshTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `A refresh token is exchanged for the next, and a new access token`() throws {
        // Tokens carry whole seconds.
        sleep(1)
        let answer = try refresh(person.refreshToken)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["token", "token_type", "expires_in", "refresh_token", "user"])
        #expect(answer.json["user"]["id"].text == person.id)
        #expect(answer.json["expires_in"] == 3600)
        let token = try #require(answer.json["token"].text)
        #expect(token != person.token && answer.json["refresh_token"].text != person.refreshToken)
        #expect(try backend.call("get-me", token: token).status == 200)
        // The access token from before is good until it is over.
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `A session goes on for as long as it is refreshed`() throws {
        let database = backend.database.connect()
        var token = person.refreshToken
        for _ in 0..<20 {
            try database.execute("update sessions set expires_at = now() + interval '1 minute'")
            try age(60)
            token = try #require(try refresh(token).json["refresh_token"].text)
        }
        #expect(
            try database.row(Bool.self, "select expires_at > now() + interval '29 days' from sessions") == true)
        #expect(try database.row(Int.self, "select generation from sessions") == 20)
    }

    @Test
    func `Where and when a session was used last is where and when it was refreshed`() throws {
        let database = backend.database.connect()
        try database.execute("update sessions set last_used_at = now() - interval '1 day', ip = '192.0.2.1'")
        _ = try backend.call(
            "refresh", body: ["refresh_token": .string(person.refreshToken)], headers: ["User-Agent": "A tab"])
        let used = try database.row(
            String.self,
            "select concat(host(ip), ' ', user_agent) from sessions where last_used_at > now() - interval '1 minute'")
        #expect(used == "127.0.0.1 A tab")
    }

    @Test
    func `The same token again within 30 seconds gets the same answer`() throws {
        let first = try refresh(person.refreshToken)
        sleep(2)
        let second = try refresh(person.refreshToken)
        #expect(first.status == 200 && second.body == first.body)
    }

    @Test
    func `Of fifty at once with one token all get the same, and one session goes on`() throws {
        let backend = try Backend(processes: 8)
        let person = try backend.signIn()
        let answers = try concurrently(50) { _ in
            try backend.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        }
        #expect(answers.allSatisfy { $0.status == 200 })
        #expect(Set(answers.map(\.text)).count == 1)
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from sessions where ended_at is null") == 1)
        #expect(try database.row(Int.self, "select generation from sessions") == 1)
        // And it goes on with what they got.
        let next = try #require(answers.first?.json["refresh_token"])
        #expect(try backend.call("refresh", body: ["refresh_token": next]).status == 200)
    }

    @Test
    func `A token that was used a minute ago ends the session, at once and for everybody`() throws {
        let thief = try refresh(person.refreshToken)
        #expect(thief.status == 200)
        #expect(try backend.call("get-me", token: thief.json["token"].text).status == 200)
        try age(60)
        expectProblem(try refresh(person.refreshToken), 401, "refresh_reused")
        for token in [person.token, try #require(thief.json["token"].text)] {
            expectProblem(try backend.call("get-me", token: token), 401, "session_ended")
        }
        expectProblem(try refresh(try #require(thief.json["refresh_token"].text)), 401, "session_ended")
        expectProblem(try refresh(person.refreshToken), 401, "session_ended")
        let database = backend.database.connect()
        #expect(try database.row(String.self, "select end_reason from sessions") == "refresh_reused")
        let recorded = try database.row(
            String.self,
            """
            select concat(e.user_id, ' ', e.detail->>'session_id' = s.id::text) from security_events e, sessions s
            where e.kind = 'refresh_reused'
            """)
        #expect(recorded == "\(person.id) t")
        #expect(
            try database.row(Int.self, "select count(*) from security_events where kind = 'refresh_reused'") == 1)
    }

    @Test
    func `Whoever lost the answer to a refresh gets it again, however late they ask`() throws {
        sleep(1)
        let lost = try refresh(person.refreshToken)
        // The access token from before is used on.
        #expect(try backend.call("get-me", token: person.token).status == 200)
        try age(3 * 86_400)
        let database = backend.database.connect()
        try database.execute("update sessions set expires_at = now() + interval '1 hour'")
        for _ in 0..<2 {
            let again = try refresh(person.refreshToken)
            #expect(again.status == 200 && again.json["refresh_token"] == lost.json["refresh_token"])
            let claims = try Forged(try #require(again.json["token"].text)).claims
            #expect(abs((claims["iat"].number ?? 0) - Date().timeIntervalSince1970) < 30)
        }
        #expect(try database.row(Bool.self, "select expires_at > now() + interval '29 days' from sessions") == true)
        let came = try refresh(person.refreshToken)
        #expect(try backend.call("get-me", token: came.json["token"].text).status == 200)
        #expect(try refresh(try #require(came.json["refresh_token"].text)).status == 200)
        expectProblem(try refresh(person.refreshToken), 401, "refresh_reused")
    }

    @Test(arguments: ["get-me", "list-chatrooms", "create-chatroom", "send-message", "stream-reply", "search-messages"])
    func `An answer that has arrived is used from the first request on, and the token before is good no more`(
        endpoint: String
    ) throws {
        let backend = try Backend()
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        sleep(1)
        let body: JSONValue = ["refresh_token": .string(person.refreshToken)]
        let answer = try backend.call("refresh", body: body)
        let database = backend.database.connect()
        let isRead = ["get-me", "list-chatrooms", "search-messages"].contains(endpoint)
        if endpoint == "stream-reply" {
            try database.execute(
                "with job as (delete from jobs) update messages set status = 'done' where role = 'model'")
        }
        let used = try backend.call(
            endpoint, room: room, message: reply, token: answer.json["token"].text,
            body: isRead || endpoint == "stream-reply" ? nil : ["content": "Hello"], query: "q=hello")
        #expect(used.status < 300, "\(used.text)")
        #expect(try database.row(Bool.self, "select is_unused from sessions") == false)
        try database.execute("update sessions set refreshed_at = refreshed_at - interval '1 minute'")
        expectProblem(try backend.call("refresh", body: body), 401, "refresh_reused")
        expectProblem(try backend.call("get-me", token: answer.json["token"].text), 401, "session_ended")
    }

    @Test
    func `A copy that is used beside the owner's ends the session at the next refresh but one`() throws {
        let owner = try refresh(person.refreshToken)
        // Both have the same pair: the thief asked within the overlap.
        let thief = try refresh(person.refreshToken)
        #expect(thief.body == owner.body)
        #expect(try backend.call("get-me", token: owner.json["token"].text).status == 200)
        let shared = try #require(owner.json["refresh_token"].text)
        let next = try refresh(shared)
        #expect(try backend.call("get-me", token: next.json["token"].text).status == 200)
        try age(60)
        expectProblem(try refresh(shared), 401, "refresh_reused")
        expectProblem(try backend.call("get-me", token: next.json["token"].text), 401, "session_ended")
    }

    @Test
    func `A token of two generations ago ends the session even within 30 seconds`() throws {
        let second = try #require(try refresh(person.refreshToken).json["refresh_token"].text)
        #expect(try refresh(second).status == 200)
        expectProblem(try refresh(person.refreshToken), 401, "refresh_reused")
        expectProblem(try backend.call("get-me", token: person.token), 401, "session_ended")
    }

    @Test
    func `Fifty replays at once after a minute end the session, and say so once`() throws {
        let backend = try Backend(processes: 8)
        let person = try backend.signIn()
        let body: JSONValue = ["refresh_token": .string(person.refreshToken)]
        let token = try #require(try backend.call("refresh", body: body).json["token"].text)
        #expect(try backend.call("get-me", token: token).status == 200)
        let database = backend.database.connect()
        try database.execute("update sessions set refreshed_at = refreshed_at - interval '1 minute'")
        let codes = try concurrently(50) { _ in try backend.call("refresh", body: body).json["code"].text }
        #expect(codes.filter { $0 == "refresh_reused" }.count == 1)
        #expect(codes.filter { $0 == "session_ended" }.count == 49)
        #expect(
            try database.row(Int.self, "select count(*) from security_events where kind = 'refresh_reused'") == 1)
    }

    @Test
    func `A forged token of a known session is refused, and ends nothing`() throws {
        let current = try #require(try refresh(person.refreshToken).json["refresh_token"].text)
        try age(60)
        var parts = person.refreshToken.split(separator: ".").map(String.init)
        let genuine = parts[3]
        let secrets = [
            Sodium.base64url(Sodium.random(32)), Sodium.base64url([UInt8](repeating: 0, count: 32)), genuine,
        ]
        for generation in ["0", "1", "2", "7", "2147483646"] {
            for secret in secrets where generation != "0" || secret != genuine {
                (parts[2], parts[3]) = (generation, secret)
                expectProblem(try refresh(parts.joined(separator: ".")), 401, "refresh_invalid", parts[2])
            }
        }
        #expect(try refresh(current).status == 200)
        let database = backend.database.connect()
        #expect(
            try database.row(Int.self, "select count(*) from security_events where kind = 'refresh_reused'") == 0)
    }

    @Test
    func `A token serves for its own session and user alone`() throws {
        let other = try backend.signIn()
        let (mine, theirs) = (parts(person), parts(other))
        for mixed in [
            [theirs[0], mine[1], mine[2], mine[3]], [mine[0], theirs[1], mine[2], mine[3]],
            [theirs[0], theirs[1], mine[2], mine[3]], [mine[0], UUID().uuidString, mine[2], mine[3]],
        ] {
            expectProblem(try refresh(mixed.joined(separator: ".")), 401, "refresh_invalid")
        }
        for token in [person.refreshToken, other.refreshToken] { #expect(try refresh(token).status == 200) }
    }

    @Test
    func `What is no refresh token is refused`() throws {
        let token = person.refreshToken
        let fields = parts(person)
        var wrong = [
            "", ".", "...", "....", "x", person.token, token + ".", "." + token, token + "A", String(token.dropLast()),
            token + "=", " " + token, token + "\n", fields.dropLast().joined(separator: "."),
            String(repeating: "a", count: 100_000), String(repeating: ".", count: 100_000), "' or 1=1 --", "é.é.é.é",
        ]
        for generation in ["", "-1", "1.0", "x", "2147483647", "99999999999999999999", "0x0", "null"] {
            wrong.append([fields[0], fields[1], generation, fields[3]].joined(separator: "."))
        }
        for text in wrong { expectProblem(try refresh(text), 401, "refresh_invalid", String(text.prefix(80))) }
        #expect(try refresh(token).status == 200)
    }

    @Test
    func `An ended session, one that is over and a deleted one are refreshed no more`() throws {
        let database = backend.database.connect()
        try database.execute("update sessions set ended_at = now()")
        expectProblem(try refresh(person.refreshToken), 401, "session_ended")
        try database.execute("update sessions set ended_at = null, expires_at = now()")
        expectProblem(try refresh(person.refreshToken), 401, "session_ended")
        try database.execute("delete from sessions")
        expectProblem(try refresh(person.refreshToken), 401, "refresh_invalid")
    }

    @Test
    func `Keys that are rotated sign nobody out, and a repeat still gets the same answer`() throws {
        let first = try refresh(person.refreshToken)
        let keys = backend.settings["TOKEN_KEYS"] ?? ""
        let newest = "newest:bmV3ZXN0IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIQ=="
        let rotated = try Backend(["TOKEN_KEYS": "\(newest),\(keys)"], database: backend.database)
        let again = try rotated.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        #expect(again.status == 200 && again.body == first.body)
        #expect(try rotated.call("get-me", token: person.token).status == 200)
        // The next one is of the new key; and when the old keys are gone the session goes on with it, or with what it had.
        let next = try rotated.call("refresh", body: ["refresh_token": first.json["refresh_token"]])
        #expect(try Forged(try #require(next.json["token"].text)).header["kid"] == "newest")
        let alone = try Backend(["TOKEN_KEYS": newest], database: backend.database)
        #expect(try alone.call("refresh", body: ["refresh_token": next.json["refresh_token"]]).status == 200)
        let other = try backend.signIn()
        #expect(try alone.call("refresh", body: ["refresh_token": .string(other.refreshToken)]).status == 200)
    }

    @Test
    func `A token that was used before the keys were rotated still ends the session`() throws {
        let current = try refresh(person.refreshToken).json["refresh_token"]
        let keys = backend.settings["TOKEN_KEYS"] ?? ""
        let newest = "newest:bmV3ZXN0IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIQ=="
        let rotated = try Backend(["TOKEN_KEYS": "\(newest),\(keys)"], database: backend.database)
        #expect(try rotated.call("refresh", body: ["refresh_token": current]).status == 200)
        let replayed = try rotated.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        expectProblem(replayed, 401, "refresh_reused")
    }

    @Test
    func `Neither the database nor the logs hold a token`() throws {
        let answer = try refresh(person.refreshToken)
        let second = try #require(answer.json["refresh_token"].text)
        _ = try refresh(second)
        _ = try refresh(person.refreshToken)
        let access = try #require(answer.json["token"].text)
        let secrets = [person.refreshToken, second, access, person.token].compactMap {
            $0.split(separator: ".").last.map(String.init)
        }
        let held = try backend.database.connect().rows(
            String.self,
            """
            select concat((select json_agg(s) from sessions s), (select json_agg(e) from security_events e),
                (select json_agg(u) from users u), (select json_agg(o) from otps o))
            """
        ).joined()
        let logs = try ["refresh", "verify-otp", "send-otp"].flatMap { try backend.endpoint($0).processes.map(\.error) }
            .joined()
        #expect(held.contains(person.id) && logs.contains("answered") && secrets.allSatisfy { $0.utf8.count >= 43 })
        for secret in secrets { #expect(!held.contains(secret) && !logs.contains(secret)) }
        for secret in secrets {
            let hex = try #require(Sodium.decode(secret)).hex
            #expect(!held.contains(hex) && !logs.contains(hex))
        }
    }

    private func refresh(_ token: String) throws -> Answer {
        try backend.call("refresh", body: ["refresh_token": .string(token)])
    }

    private func parts(_ person: Backend.Person) -> [String] {
        person.refreshToken.split(separator: ".").map(String.init)
    }

    /// As if the last refresh had been so many seconds earlier.
    private func age(_ seconds: Int) throws {
        try backend.database.connect().execute(
            "update sessions set refreshed_at = refreshed_at - make_interval(secs => \(seconds)::int)")
    }
}
