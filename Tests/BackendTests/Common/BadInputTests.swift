import Common
import Foundation
import TestSupport
import Testing

/// What every endpoint has to bear, run over all of them.
@Suite(.threads)
struct BadInputTests {
    let backend: Backend
    let person: Backend.Person
    let room: String
    let session: String
    let question: String
    /// It is finished, as those have to be that are regenerated, and cut off, as those that are continued.
    let reply: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person)
        session = try #require(try Forged(person.token).claims["sid"].text)
        reply = try backend.post("Hello", room, person)
        let database = backend.database.connect()
        try database.execute(
            """
            with job as (delete from jobs)
            update messages set status = 'done', content = 'Half', finish_reason = 'MAX_TOKENS' where role = 'model'
            """)
        try database.execute("update users set password_hash = \(try Password.hash("correct horse"))")
        question = try #require(try database.row(String.self, "select id from messages where role = 'user'"))
    }

    /// An endpoint that reads a body: one that is good, and the members that it must and may have.
    struct WithBody: Sendable, CustomTestStringConvertible {
        let name: String
        let good: [String: JSONValue]
        let required: [String]
        var testDescription: String { name }
    }

    static let withBody = [
        WithBody(
            name: "signup", good: ["mobile": "+919876543210", "username": "Asha", "password": "correct horse"],
            required: ["mobile"]),
        WithBody(name: "send-otp", good: ["mobile": "+919876543210"], required: ["mobile"]),
        WithBody(name: "verify-otp", good: ["mobile": "+919876543210", "otp": "123456"], required: ["mobile", "otp"]),
        WithBody(name: "forgot-password", good: ["mobile": "+919876543210"], required: ["mobile"]),
        WithBody(
            name: "reset-password",
            good: ["mobile": "+919876543210", "otp": "123456", "new_password": "correct horse"],
            required: ["mobile", "otp", "new_password"]),
        WithBody(
            name: "change-password", good: ["current_password": "correct horse", "new_password": "correct horse"],
            required: ["current_password", "new_password"]),
        WithBody(
            name: "login", good: ["mobile": "+919876543210", "password": "correct horse"],
            required: ["mobile", "password"]),
        WithBody(name: "refresh", good: ["refresh_token": "a.b.c.d"], required: ["refresh_token"]),
        WithBody(name: "update-me", good: ["username": "Asha"], required: []),
        WithBody(name: "delete-me", good: ["password": "correct horse"], required: ["password"]),
        WithBody(
            name: "create-chatroom",
            good: ["title": "Travel", "system_instruction": "Be brief.", "model": "gemini-3.8-flash"], required: []),
        WithBody(
            name: "update-chatroom",
            good: ["title": "Travel", "system_instruction": "Be brief.", "model": "gemini-3.8-flash"], required: []),
        WithBody(name: "send-message", good: ["content": "Hello"], required: ["content"]),
        WithBody(name: "edit-message", good: ["content": "Hello"], required: ["content"]),
    ]

    /// One that all endpoints take: what one does not ask for it overlooks.
    static let anyBody = Array(
        #"{"content":"x","current_password":"correct horse","new_password":"correct horse"}"#.utf8)

    /// Endpoints that want a token, with the ids in their paths.
    static let protected =
        [
            "get-me", "update-me", "export-me", "change-password", "list-security-events", "list-sessions",
            "revoke-other-sessions",
            "revoke-session", "logout",
            "create-chatroom", "list-chatrooms", "list-trash",
            "subscription-status", "explain-subscription",
        ] + withRoom
    static let withRoom = ["get-chatroom", "update-chatroom", "send-message", "list-messages"] + withMessage
    static let withMessage = [
        "get-message", "edit-message", "choose-message", "regenerate-reply", "continue-reply", "cancel-reply",
        "get-provenance",
        "stream-reply",
    ]

    @Test(arguments: withBody)
    func `What is no JSON object is 400`(endpoint: WithBody) throws {
        let good = JSONValue.object(endpoint.good).bytes
        let nested = { (depth: Int) in
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        let bodies: [[UInt8]] = [
            [], Array("{".utf8), Array("}".utf8), Array("null".utf8), Array("[]".utf8), Array("\"x\"".utf8),
            Array("1".utf8), Array("true".utf8), Array("{'mobile':1}".utf8), Array("{mobile:1}".utf8),
            Array("{\"a\":1,}".utf8), Array("{\"a\":01}".utf8), Array("{\"a\":NaN}".utf8), Array("{\"a\":\"\n\"}".utf8),
            Array("{\"a\":\"\\x\"}".utf8), Array("{\"a\":\"\\u12g4\"}".utf8), Array("{\"a\" 1}".utf8),
            Array("{\"a\":1.}".utf8), Array("{\"a\":.5}".utf8), Array("{\"a\":+1}".utf8), Array("{\"a\":1e}".utf8),
            Array("{\"a\":tru}".utf8), Array("{\"a\":[1,]}".utf8), Array("{,}".utf8), Array("{\"a\":1 \"b\":2}".utf8),
            Array("{\"a\":/* */1}".utf8), Array("{\"a\":\"".utf8) + [0x1F] + Array("\"}".utf8),
            Array("{\"a\":1}{}".utf8), Array("{\"a\":1} x".utf8), Array(good.dropLast()), Array(good.dropFirst()),
            good + [0], [0] + good, good + [0xFF], [0xEF, 0xBB, 0xBF, 0x7B],
            Array("{\"a\":\"".utf8) + [0xC3, 0x28] + Array("\"}".utf8),
            Array("{\"a\":\"".utf8) + [0xED, 0xA0, 0x80] + Array("\"}".utf8),
            Array("{\"a\":\"".utf8) + [0xF5, 0x80, 0x80, 0x80] + Array("\"}".utf8),
            Array("{\"a\":\"".utf8) + [0xC0, 0xAF] + Array("\"}".utf8),
            Array("{\"a\":\"".utf8) + [0] + Array("\"}".utf8),
            nested(100_000), Array("{\"a\":".utf8) + nested(100_000) + Array("}".utf8),
            Array((String(repeating: "{\"a\":", count: 50_000) + "1" + String(repeating: "}", count: 50_000)).utf8),
            Array("{\"a\":".utf8) + [UInt8](repeating: 0x5B, count: 500_000), Array("a=1&b=2".utf8),
            Array("<a/>".utf8), (0...255).map { UInt8($0) },
        ]
        for body in bodies {
            let answer = try call(endpoint.name, raw: body)
            expectProblem(answer, 400, nil, String(decoding: body.prefix(80), as: UTF8.self))
        }
        try expectAlive(endpoint)
    }

    @Test(arguments: withBody)
    func `Half a character is refused`(endpoint: WithBody) throws {
        for member in endpoint.good.keys {
            for half in ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud83d"] {
                let answer = try call(endpoint.name, raw: Array("{\"\(member)\":\"12345678\(half)\"}".utf8))
                #expect([400, 422].contains(answer.status), "\(answer.text)")
                expectProblem(answer, answer.status)
            }
        }
        try expectAlive(endpoint)
    }

    @Test(arguments: withBody)
    func `A member of the wrong type or out of range is refused by its name`(endpoint: WithBody) throws {
        let values: [JSONValue] = [
            1, -1, .number(1.5), .number(1e300), true, [], ["x"], [:], ["x": 1], .string("a\u{0}b"), .string("\u{0}"),
            .string(String(repeating: "x", count: 200_000)),
        ]
        for member in endpoint.good.keys {
            for value in values {
                var body = endpoint.good
                body[member] = value
                let answer = try call(endpoint.name, raw: JSONValue.object(body).bytes)
                let what = "\(member): \(String(decoding: value.bytes.prefix(60), as: UTF8.self))"
                // A code or a token that cannot be is a wrong one.
                let isSecret = ["otp", "refresh_token"].contains(member)
                if isSecret, value.text != nil, answer.status == 401 { continue }
                expectProblem(answer, 422, nil, what)
                #expect(answer.json["errors"][0]["field"].text == member, "\(what)")
            }
        }
        try expectAlive(endpoint)
    }

    @Test(arguments: withBody)
    func `A member that is missing or null is refused by its name, or may be`(endpoint: WithBody) throws {
        for member in endpoint.good.keys {
            for isNull in [false, true] {
                var body = endpoint.good
                body[member] = isNull ? .null : nil
                let answer = try call(endpoint.name, raw: JSONValue.object(body).bytes)
                if endpoint.required.contains(member) {
                    expectProblem(answer, 422, nil, member)
                    #expect(answer.json["errors"][0]["field"].text == member)
                } else {
                    #expect([200, 201].contains(answer.status), "\(member) \(answer.text)")
                }
            }
        }
    }

    @Test(arguments: withBody)
    func `Numbers of any size are no crash`(endpoint: WithBody) throws {
        let numbers = [
            "1e999999", "-1e999999", "1e-999999", String(repeating: "9", count: 100_000), "-0",
            "0." + String(repeating: "0", count: 10_000) + "1", "9223372036854775808", "1E+2",
        ]
        for member in endpoint.good.keys.sorted() + ["unknown"] {
            for number in numbers {
                let raw = "{\"\(member)\":\(number)}"
                let answer = try call(endpoint.name, raw: Array(raw.utf8))
                #expect([200, 201, 202, 400, 422].contains(answer.status), "\(raw.prefix(60)) \(answer.text)")
                if answer.status >= 400 { expectProblem(answer, answer.status) }
            }
        }
        try expectAlive(endpoint)
    }

    @Test(arguments: withBody)
    func `Members that are unknown or given twice are no crash`(endpoint: WithBody) throws {
        var body = endpoint.good
        body["unknown"] = ["deep": [1, 2, ["x": .null]]]
        body[""] = 1
        body["__proto__"] = [:]
        let answer = try call(endpoint.name, raw: JSONValue.object(body).bytes)
        #expect([200, 201, 202, 204, 401, 429].contains(answer.status), "\(answer.text)")
        let member = endpoint.good.keys.sorted()[0]
        let twice = try call(endpoint.name, raw: Array("{\"\(member)\":1,\"\(member)\":2}".utf8))
        #expect([400, 422].contains(twice.status), "\(twice.text)")
    }

    @Test(arguments: withBody)
    func `A body that is not application json is 415`(endpoint: WithBody) throws {
        let good = JSONValue.object(endpoint.good).bytes
        let types = [
            "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
            "application/jsonx", "json", "application/json2; charset=utf-8", "text/json", ";", "\u{1}",
        ]
        for type in types { expectProblem(try call(endpoint.name, raw: good, type: type), 415, nil, type) }
        for type in ["application/json; charset=utf-8", "Application/JSON", "application/json;"] {
            #expect(try call(endpoint.name, raw: good, type: type).status != 415, "\(type)")
        }
    }

    @Test(arguments: withBody)
    func `10 MB are 413`(endpoint: WithBody) throws {
        let body = [UInt8](repeating: UInt8(ascii: "["), count: 10 << 20)
        expectProblem(try call(endpoint.name, raw: body), 413, "body_too_large")
        try expectAlive(endpoint)
    }

    /// What can be done but once.
    static let final = ["delete-me", "delete-chatroom", "restore-chatroom", "purge-chatroom"]

    @Test(arguments: protected + final)
    func `Without a token that is good it is 401`(endpoint: String) throws {
        var expired = try Forged(person.token)
        guard case .object(var claims) = expired.claims else { throw Executable.Failure("no claims") }
        claims["exp"] = .number(Date().timeIntervalSince1970.rounded(.down) - 10)
        expired.claims = .object(claims)
        var none = try Forged(person.token)
        none.header = ["alg": "none"]
        var critical = try Forged(person.token)
        critical.header["crit"] = ["urn:example"]
        var kid = try Forged(person.token)
        kid.header["kid"] = "other"
        let tokens: [String: String?] = [
            "none": nil, "empty": "", "forged": try Forged(person.token).signed([1, 2, 3]),
            "expired": expired.signed(), "alg none": none.unsigned, "alg none, signed": none.signed(),
            "truncated": String(person.token.dropLast(5)), "other kid": kid.signed(), "crit": critical.signed(),
            "oversize": person.token + String(repeating: "A", count: 30_000), "NUL": "\u{1}\u{2}",
            "binary": "\u{FFFD}é",
        ]
        for (name, token) in tokens {
            let answer = try call(endpoint, token: token, raw: Self.anyBody)
            expectProblem(answer, 401, nil, name)
        }
    }

    @Test(arguments: protected)
    func `The token of an ended session is 401 at the very next request`(endpoint: String) throws {
        let body = Self.anyBody
        #expect(try call(endpoint, token: person.token, raw: body).status < 300)
        let database = backend.database.connect()
        try database.execute("update sessions set ended_at = now()")
        expectProblem(try call(endpoint, token: person.token, raw: body), 401, "session_ended")
        try database.execute("update sessions set ended_at = null, expires_at = now()")
        expectProblem(try call(endpoint, token: person.token, raw: body), 401, "session_ended")
        try database.execute("delete from sessions")
        expectProblem(try call(endpoint, token: person.token, raw: body), 401, "session_ended")
        let made = ["send-message": 2, "edit-message": 2, "regenerate-reply": 1, "continue-reply": 1][endpoint] ?? 0
        #expect(try database.row(Int.self, "select count(*) from messages") == 2 + made)
    }

    @Test(arguments: withRoom)
    func `What is another's is 404, like what is nowhere`(endpoint: String) throws {
        let stranger = try backend.signIn()
        let nowhere = "00000000-0000-7000-8000-000000000000"
        let body = Self.anyBody
        let theirs = try call(endpoint, token: stranger.token, raw: body)
        let none = try backend.call(
            endpoint, room: nowhere, message: nowhere, token: person.token, raw: reads(endpoint) ? body : nil)
        expectProblem(theirs, 404, "not_found")
        expectProblem(none, 404, "not_found")
        // Nor is it there through a room of one's own.
        if Self.withMessage.contains(endpoint) {
            let answer = try backend.call(
                endpoint, room: backend.room(stranger), message: message(of: endpoint), token: stranger.token,
                raw: reads(endpoint) ? body : nil)
            expectProblem(answer, 404, "not_found")
        }
        #expect(theirs.json["detail"] == none.json["detail"])
        #expect(try call(endpoint, token: person.token, raw: body).status < 300)
    }

    @Test(arguments: withRoom)
    func `Ids that are no UUIDs are 404`(endpoint: String) throws {
        let ids = [
            "", "x", "1", "null", String(room.dropLast()), room + "0", "{\(room)}", room.replacing("-", with: ""),
            "gggggggg-0000-7000-8000-000000000000", "' or 1=1 --", "../../etc/passwd", "%00", "é", "\(room)\n",
            String(repeating: "a", count: 36), String(repeating: "-", count: 36), String(repeating: "0", count: 50_000),
            " " + room, room.replacing("-", with: "‐"),
        ]
        let body = reads(endpoint) ? Self.anyBody : nil
        for id in ids {
            let answer = try backend.call(
                endpoint, room: id, message: message(of: endpoint), token: person.token, raw: body)
            expectProblem(answer, 404, "not_found", "room \(id.prefix(50))")
            guard Self.withMessage.contains(endpoint) else { continue }
            let wrong = try backend.call(endpoint, room: room, message: id, token: person.token, raw: body)
            expectProblem(wrong, 404, "not_found", "message \(id.prefix(50))")
        }
    }

    @Test(arguments: protected)
    func `Headers and queries of any kind are no crash`(endpoint: String) throws {
        let odd = [
            "", "\u{1}", String(repeating: "x", count: 60_000), "é😀", "%", "%%%", "%zz", "\"",
            "'; drop table users; --",
            "W/\"1\"", "*", "wait=99999999999999999999", "limit=1&limit=x",
        ]
        let database = backend.database.connect()
        for value in odd {
            let headers = [
                "If-None-Match": value, "Prefer": value, "User-Agent": value, "Accept": value, "X-Forwarded-For": value,
            ]
            let answer = try backend.call(
                endpoint, room: room, message: message(of: endpoint), session: session, token: person.token,
                raw: reads(endpoint) ? Self.anyBody : nil,
                query: value, headers: headers)
            // Some end the session.
            try database.execute("update sessions set ended_at = null")
            #expect(
                [200, 201, 202, 204, 304, 422].contains(answer.status), "\(value.prefix(50)) \(answer.text.prefix(300))"
            )
        }
        #expect(try backend.endpoint(endpoint).processes[0].isRunning)
    }

    @Test(arguments: ["list-chatrooms", "list-messages", "get-chatroom", "list-security-events", "list-trash"])
    func `Cursors that nobody was given are refused, whatever is in them`(endpoint: String) throws {
        let times = [
            "2026-11-22T12:00:00.123456+00:00", "9999-99-99T99:99:99.999999+00:00", "0000-00-00T00:00:00.000000+00:00",
            "----------T::::::.......---+00:00", "999999999999999999999999999+00:00", "1795348800000000", "-1", "0",
            "9223372036854775807", "99999999999999999999",
        ]
        let places =
            times.flatMap { [$0, "\($0) \(room)", "\(room) \($0)", "\($0) \($0)"] } + ["\(room) \(room)", " ", "\n"]
        for place in places {
            for signature in [[], [UInt8](repeating: 0, count: 16), Sodium.random(16)] {
                let cursor = Sodium.base64url(signature + place.utf8)
                let answer = try backend.call(endpoint, room: room, token: person.token, query: "cursor=\(cursor)")
                expectProblem(answer, 422, nil, place)
            }
        }
    }

    @Test
    func `A user agent of any kind does not keep anybody from signing in`() throws {
        let code = try backend.call("send-otp", body: ["mobile": "+919876543210"]).json["otp"]
        _ = try backend.call("signup", body: ["mobile": "+919876543210"])
        let answer = try backend.call(
            "verify-otp", body: ["mobile": "+919876543210", "otp": code],
            headers: ["User-Agent": String(repeating: "é😀", count: 5_000)])
        #expect(answer.status == 200, "\(answer.text)")
    }

    @Test
    func `Bytes in headers that are no UTF-8 are no crash`() throws {
        let connection = try FastCGI(backend.endpoint("verify-otp").listener.path)
        let body = JSONValue.object(["mobile": "+919876543210", "otp": "123456"]).bytes
        let parameters = FastCGI.pairs(Backend.parameters(length: body.count, type: "application/json"))
        let agent = [15, 4] + Array("HTTP_USER_AGENT".utf8) + [0xFF, 0xFE, 0xC3, 0x28]
        connection.send(FastCGI.begin + FastCGI.stream(.params, parameters + agent) + FastCGI.stream(.input, body))
        expectProblem(try connection.answer(), 401, "otp_invalid")
    }

    private func call(
        _ name: String, token: String?, raw: [UInt8], type: String = "application/json"
    ) throws -> Answer {
        try backend.call(
            name, room: Self.withRoom.contains(name) ? room : nil, message: message(of: name), session: session,
            token: token, raw: reads(name) ? raw : nil, type: type)
    }

    private func reads(_ endpoint: String) -> Bool { Self.withBody.contains { $0.name == endpoint } }

    /// A message that the endpoint can do something with.
    private func message(of endpoint: String) -> String { endpoint == "edit-message" ? question : reply }

    private func call(_ name: String, raw: [UInt8], type: String = "application/json") throws -> Answer {
        try call(name, token: person.token, raw: raw, type: type)
    }

    /// After all that, the process is the same and does its work.
    private func expectAlive(_ endpoint: WithBody, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try backend.endpoint(endpoint.name).processes[0].isRunning, sourceLocation: sourceLocation)
        let answer = try call(endpoint.name, raw: JSONValue.object(endpoint.good).bytes)
        #expect(
            [200, 201, 202, 204, 401, 429].contains(answer.status), "\(answer.text)", sourceLocation: sourceLocation)
    }
}
