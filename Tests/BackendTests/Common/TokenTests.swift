import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct TokenTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `A token is a JWT with these claims and no others`() throws {
        let token = try Forged(person.token)
        #expect(token.header == ["alg": "HS256", "kid": "new", "typ": "at+jwt"])
        #expect(token.claims.names == ["iss", "aud", "sub", "sid", "iat", "exp"])
        #expect(token.claims["sub"].text == person.id)
        #expect((token.claims["exp"].number ?? 0) - (token.claims["iat"].number ?? 0) == 3_600)
    }

    @Test
    func `PyJWT verifies it, and refuses it with another key`() throws {
        let script = """
            import jwt, sys, base64
            token, key, user = sys.argv[1], base64.b64decode(sys.argv[2]), sys.argv[3]
            claims = jwt.decode(token, key, algorithms=["HS256"], audience="gemini-chat-backend",
                                issuer="gemini-chat-backend", options={"require": ["exp", "iat", "sub", "aud", "iss"]})
            assert claims["sub"] == user, claims
            assert jwt.get_unverified_header(token)["kid"] == "new"
            try:
                jwt.decode(token, b"x" * 32, algorithms=["HS256"], audience="gemini-chat-backend")
                raise SystemExit("another key was taken")
            except jwt.InvalidSignatureError:
                print("good")
            """
        let run = try Python.run(["-c", script, person.token, Data(Backend.key).base64EncodedString(), person.id])
        #expect(run.exit == .code(0), "\(run.error)")
        #expect(run.output == "good\n")
    }

    @Test
    func `The signature is HMAC-SHA256 as RFC 7515 shows it`() throws {
        // Appendix A.1
        let key = try #require(
            Sodium.decode(
                "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"))
        let message = """
            eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
            eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ
            """
        let signature = Sodium.base64url(Sodium.hmac(message.utf8, key: key))
        #expect(signature == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        // RFC 4231, test cases 2 and 6
        #expect(
            Sodium.hmac("what do ya want for nothing?".utf8, key: Array("Jefe".utf8)).hex
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            Sodium.hmac(
                "Test Using Larger Than Block-Size Key - Hash Key First".utf8, key: [UInt8](repeating: 0xAA, count: 131)
            ).hex == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test
    func
        `A token of ours that a test signs itself is good, so that those below are refused for what is wrong with them`()
        throws
    {
        #expect(try status(try Forged(person.token).signed()) == 200)
        var old = try Forged(person.token)
        old.header["kid"] = "old"
        #expect(try status(old.signed(Backend.olderKey)) == 200)
    }

    @Test
    func `A header that is not exactly ours is refused`() throws {
        let header: [String: JSONValue] = ["alg": "HS256", "kid": "new", "typ": "at+jwt"]
        let changes: [String: [String: JSONValue]] = [
            "alg none": ["alg": "none"], "alg None": ["alg": "None"], "alg nOnE": ["alg": "nOnE"],
            "no alg": ["alg": .missing], "HS384": ["alg": "HS384"], "HS512": ["alg": "HS512"],
            "RS256": ["alg": "RS256"], "ES256": ["alg": "ES256"], "other kid": ["kid": "another"],
            "no kid": ["kid": .missing], "kid of the other key": ["kid": "old"],
            "kid as path": ["kid": "../../dev/null"], "kid as SQL": ["kid": "new' or '1'='1"],
            "kid as number": ["kid": 1], "other typ": ["typ": "JWT"], "no typ": ["typ": .missing],
            "crit": ["crit": ["exp"]], "unknown crit": ["crit": ["urn:x"], "urn:x": true],
            "jku": ["jku": "https://example.com/keys"], "jwk": ["jwk": ["kty": "oct", "k": "AAAA"]],
            "b64": ["b64": false],
        ]
        for (name, change) in changes {
            var changed = header
            for (member, value) in change { changed[member] = value == .missing ? nil : value }
            var token = try Forged(person.token)
            token.header = changed
            for text in [token.signed(), token.signed([]), token.unsigned] {
                expectProblem(try backend.call("get-me", token: text), 401, "token_invalid", name)
            }
        }
    }

    @Test
    func `Claims that are wrong, missing or of another type are refused`() throws {
        let time = Date().timeIntervalSince1970.rounded(.down)
        let changes: [(String, [String: JSONValue], String)] = [
            ("expired", ["exp": .number(time - 1)], "token_expired"),
            ("expires now", ["exp": .number(time)], "token_expired"),
            ("exp as text", ["exp": "9999999999"], "token_invalid"), ("no exp", ["exp": .missing], "token_invalid"),
            ("exp null", ["exp": .null], "token_invalid"), ("exp huge", ["exp": .number(1e300)], "token_invalid"),
            ("issued later", ["iat": .number(time + 3_600)], "token_invalid"),
            ("other issuer", ["iss": "somebody"], "token_invalid"), ("no issuer", ["iss": .missing], "token_invalid"),
            ("other audience", ["aud": "somebody"], "token_invalid"),
            ("many audiences", ["aud": ["gemini-chat-backend"]], "token_invalid"),
            ("no user", ["sub": .missing], "token_invalid"), ("user no UUID", ["sub": "root"], "token_invalid"),
            ("user as list", ["sub": [.string(person.id)]], "token_invalid"),
            ("no session", ["sid": .missing], "token_invalid"),
            ("another session", ["sid": .string(UUID().uuidString.lowercased())], "session_ended"),
            ("another user", ["sub": .string(UUID().uuidString.lowercased())], "session_ended"),
        ]
        for (name, change, code) in changes {
            var token = try Forged(person.token)
            guard case .object(var claims) = token.claims else { throw Executable.Failure("no claims") }
            for (member, value) in change { claims[member] = value == .missing ? nil : value }
            token.claims = .object(claims)
            expectProblem(try backend.call("get-me", token: token.signed()), 401, code, name)
        }
    }

    @Test
    func `Another person's session does not serve with one's own id`() throws {
        let other = try backend.signIn()
        var token = try Forged(person.token)
        guard case .object(var claims) = token.claims else { throw Executable.Failure("no claims") }
        claims["sub"] = .string(other.id)
        token.claims = .object(claims)
        expectProblem(try backend.call("get-me", token: token.signed()), 401, "session_ended")
    }

    @Test
    func `A token that was cut, lengthened or changed in any place is refused`() throws {
        let token = person.token
        let parts = token.split(separator: ".").map(String.init)
        var wrong = [
            "", ".", "..", "...", "a.b.c", parts[0], parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".",
            "." + parts[1] + "." + parts[2], parts[0] + ".." + parts[2], token + ".", token + ".x", token + "=",
            token + "A", " " + token, token + " ", token + "\n", token.uppercased(),
            String(token.dropLast()), String(token.dropFirst()), token + "é", parts.reversed().joined(separator: "."),
            parts[0] + "." + parts[1] + "=." + parts[2], parts[0] + "." + parts[1] + "." + parts[2] + "==",
            String(repeating: "a", count: 3_000), String(repeating: ".", count: 2_000),
            parts[0] + "." + String(repeating: "A", count: 60_000) + "." + parts[2],
        ]
        // One bit in one place, in every part; the last character of a part may hold bits of no meaning.
        for place in stride(from: 0, to: token.utf8.count, by: 7) {
            var bytes = Array(token.utf8)
            bytes[place] = bytes[place] == UInt8(ascii: "B") ? UInt8(ascii: "C") : UInt8(ascii: "B")
            wrong.append(String(decoding: bytes, as: UTF8.self))
        }
        for text in wrong where text != token {
            let answer = try backend.call("get-me", headers: ["Authorization": "Bearer \(text)"])
            #expect(answer.status == 401, "\(text.prefix(200))")
            expectProblem(answer, 401)
        }
        // A last character that decodes to the same bytes is another spelling of the token, and refused too.
        let last = try #require(token.last)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let index = try #require(alphabet.firstIndex(of: last))
        let twin = String(token.dropLast()) + String(alphabet[index ^ 1])
        #expect(try status(twin) == 401)
    }

    @Test
    func `An oversize token is refused even if it is signed`() throws {
        var token = try Forged(person.token)
        guard case .object(var claims) = token.claims else { throw Executable.Failure("no claims") }
        claims["more"] = .string(String(repeating: "x", count: 2_000))
        token.claims = .object(claims)
        expectProblem(try backend.call("get-me", token: token.signed()), 401, "token_invalid")
        claims["more"] = "a little"
        token.claims = .object(claims)
        #expect(try status(token.signed()) == 200)
    }

    @Test
    func `Keys that cannot be used end the process at its start with one line that names the setting`() throws {
        let folder = try Folder()
        for keys in [
            "x", "a:!!!", "a:c2hvcnQ=", "a b:AAAA", ":AAAA", "a:\(thirtyTwo),a:\(thirtyTwo)", "é:\(thirtyTwo)",
        ] {
            let process = try Executable("get-me", environment: ["TOKEN_KEYS": keys], folder: folder.path)
            #expect(try process.wait() == .code(78), "\(keys)")
            #expect(process.error.contains("TOKEN_KEYS") && process.error.split(separator: "\n").count == 1)
        }
    }

    private let thirtyTwo = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

    private func status(_ token: String) throws -> Int { try backend.call("get-me", token: token).status }
}

/// A token that is taken apart, changed and put together again.
struct Forged {
    var header: [String: JSONValue]
    var claims: JSONValue

    init(_ token: String) throws {
        let parts = token.split(separator: ".")
        guard parts.count == 3, let first = Sodium.decode(parts[0]), let second = Sodium.decode(parts[1]),
            case .object(let header)? = JSONValue(first), let claims = JSONValue(second)
        else { throw Executable.Failure("no token: \(token)") }
        self.header = header
        self.claims = claims
    }

    var unsigned: String {
        Sodium.base64url(JSONValue.object(header).bytes) + "." + Sodium.base64url(claims.bytes) + "."
    }

    func signed(_ key: [UInt8] = Backend.key) -> String {
        let message = unsigned.dropLast()
        return unsigned + Sodium.base64url(Sodium.hmac(message.utf8, key: key))
    }
}
