import Common
import Foundation
import TestSupport
import Testing

/// The public keys, and the tokens that they verify.
@Suite(.threads)
struct JWKSTests {
    static let seed = [UInt8]("the seed of a key pair for tests".utf8)
    static let pair = "pair:ed25519:\(Data(seed).base64EncodedString())"
    static let secret = "new:\(Data(Backend.key).base64EncodedString())"
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend(["TOKEN_KEYS": "\(JWKSTests.pair),\(JWKSTests.secret)"])
        person = try backend.signIn()
    }

    @Test
    func `The public keys of the pairs are shown, and nothing of the secret ones`() throws {
        let answer = try backend.call("jwks")
        #expect(answer.status == 200)
        #expect(answer.header("Content-Type") == "application/json")
        #expect(answer.header("Cache-Control") == "public, max-age=300")
        let keys = answer.json["keys"].list
        #expect(keys.count == 1)
        #expect(keys[0].names == ["kty", "crv", "alg", "use", "kid", "x"])
        #expect(keys[0]["kty"] == "OKP" && keys[0]["crv"] == "Ed25519" && keys[0]["kid"] == "pair")
        #expect(keys[0]["x"].text.flatMap { Sodium.decode($0) }?.count == 32)
        for secret in [JWKSTests.seed, Backend.key] { #expect(!answer.text.contains(Sodium.base64url(secret))) }
    }

    @Test
    func `Where there are no pairs there are no keys`() throws {
        #expect(try Backend().call("jwks").text == #"{"keys":[]}"#)
    }

    @Test
    func `The key of RFC 8037 is shown as there, and PyJWT takes what it signs and nothing else`() throws {
        // Appendix A.1
        let seed = try #require(Sodium.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
        let backend = try Backend(["TOKEN_KEYS": "rfc:ed25519:\(Data(seed).base64EncodedString())"])
        let person = try backend.signIn()
        let keys = try backend.call("jwks")
        #expect(keys.json["keys"][0]["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        let script = """
            import jwt, sys
            token, keys, user = sys.argv[1:]
            keys = jwt.PyJWKSet.from_json(keys)
            def decode(token):
                key = keys[jwt.get_unverified_header(token)["kid"]]
                return jwt.decode(token, key, algorithms=["EdDSA"], audience="gemini-chat-backend",
                                  issuer="gemini-chat-backend", options={"require": ["exp", "iat", "sub", "aud", "iss"]})
            assert decode(token)["sub"] == user
            head, body, signature = token.split(".")
            place = len(signature) // 2
            changed = signature[:place] + ("A" if signature[place] != "A" else "B") + signature[place + 1:]
            try:
                decode(".".join([head, body, changed]))
                raise SystemExit("another signature was taken")
            except jwt.InvalidSignatureError:
                print("good")
            """
        let run = try Python.run(["-c", script, person.token, keys.text, person.id])
        #expect(run.exit == .code(0), "\(run.error)")
        #expect(run.output == "good\n")
    }

    @Test
    func `A token of a pair says so, and is good`() throws {
        let token = try Forged(person.token)
        #expect(token.header == ["alg": "EdDSA", "kid": "pair", "typ": "at+jwt"])
        #expect(token.claims.names == ["iss", "aud", "sub", "sid", "iat", "exp"])
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `Another algorithm under a key's name is refused, whatever it was signed with`() throws {
        let x = try #require(try backend.call("jwks").json["keys"][0]["x"].text)
        let publicKey = try #require(Sodium.decode(x))
        let publicText = Array(try backend.call("jwks").text.utf8)
        for header: [String: JSONValue] in [
            ["alg": "HS256", "kid": "pair", "typ": "at+jwt"], ["alg": "EdDSA", "kid": "new", "typ": "at+jwt"],
            ["alg": "none", "kid": "pair", "typ": "at+jwt"], ["alg": "Ed25519", "kid": "pair", "typ": "at+jwt"],
            ["alg": "EdDSA", "kid": "other", "typ": "at+jwt"], ["alg": "EdDSA", "kid": "pair", "typ": "JWT"],
            ["alg": "EdDSA", "kid": "pair"], ["alg": "EdDSA", "kid": "pair", "typ": "at+jwt", "crit": ["exp"]],
            [
                "alg": "EdDSA", "kid": "pair", "typ": "at+jwt",
                "jwk": ["kty": "OKP", "crv": "Ed25519", "x": .string(x)],
            ],
            ["alg": "EdDSA", "kid": "pair", "typ": "at+jwt"],
        ] {
            var token = try Forged(person.token)
            token.header = header
            let genuine = try #require(person.token.split(separator: ".").last)
            var texts =
                [token.unsigned] + [publicKey, publicText, JWKSTests.seed, Backend.key].map { token.signed($0) }
            if token.unsigned + genuine != person.token { texts.append(token.unsigned + genuine) }
            for text in texts {
                expectProblem(try backend.call("get-me", token: text), 401, "token_invalid", "\(header)")
            }
        }
    }

    @Test
    func `A token that was changed in any place is refused, and so is a signature of another length`() throws {
        let token = person.token
        for place in stride(from: 0, to: token.utf8.count, by: 5) {
            var bytes = Array(token.utf8)
            bytes[place] = bytes[place] == UInt8(ascii: "B") ? UInt8(ascii: "C") : UInt8(ascii: "B")
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(try backend.call("get-me", token: text).status == 401, "\(place)")
        }
        let parts = token.split(separator: ".").map(String.init)
        let signature = try #require(Sodium.decode(parts[2]))
        for other in [
            [], Array(signature.dropLast()), signature + [0], signature + signature, Array(signature.prefix(32)),
        ] {
            let text = "\(parts[0]).\(parts[1]).\(Sodium.base64url(other))"
            #expect(try backend.call("get-me", token: text).status == 401, "\(other.count)")
        }
    }

    @Test
    func `Claims that are wrong are refused though the key is right`() throws {
        // What this key signs for another issuer, audience or time: it has to be signed anew, so by a key that we know.
        let time = Date().timeIntervalSince1970.rounded(.down)
        for (change, code) in [
            (["exp": .number(time - 1)], "token_expired"), (["iat": .number(time + 3_600)], "token_invalid"),
            (["iss": "somebody"], "token_invalid"), (["aud": "somebody"], "token_invalid"),
        ] as [([String: JSONValue], String)] {
            guard case .object(var claims) = try Forged(person.token).claims else {
                throw Executable.Failure("no claims")
            }
            claims.merge(change) { $1 }
            let run = try Python.run([
                "-c",
                """
                import jwt, sys, json
                from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
                key = Ed25519PrivateKey.from_private_bytes(sys.argv[1].encode())
                part = lambda value: jwt.utils.base64url_encode(value).decode()
                message = sys.argv[3] + "." + part(sys.argv[2].encode())
                print(message + "." + part(key.sign(message.encode())), end="")
                """, String(decoding: JWKSTests.seed, as: UTF8.self),
                String(decoding: JSONValue.object(claims).bytes, as: UTF8.self),
                String(person.token.split(separator: ".")[0]),
            ])
            #expect(run.exit == .code(0), "\(run.error)")
            expectProblem(try backend.call("get-me", token: run.output), 401, code, "\(change)")
        }
    }

    @Test
    func `Keys of either kind take over from one another, and nobody is signed out`() throws {
        let secretFirst = try Backend(
            ["TOKEN_KEYS": "\(JWKSTests.secret),\(JWKSTests.pair)"], database: backend.database)
        #expect(try secretFirst.call("get-me", token: person.token).status == 200)
        let refreshed = try secretFirst.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        let token = try #require(refreshed.json["token"].text)
        #expect(try Forged(token).header["alg"] == "HS256")
        #expect(try backend.call("get-me", token: token).status == 200)
        // A repeat at a process that has not yet taken over, and a code that was sent before.
        let again = try backend.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        #expect(again.body == refreshed.body)
        let mobile = Backend.mobile()
        _ = try backend.call("signup", body: ["mobile": .string(mobile)])
        let code = try backend.call("send-otp", body: ["mobile": .string(mobile)]).json["otp"]
        #expect(try secretFirst.call("verify-otp", body: ["mobile": .string(mobile), "otp": code]).status == 200)
    }

    @Test
    func `A seed that is none ends the process at its start`() throws {
        let folder = try Folder()
        let short = Data(JWKSTests.seed.dropLast()).base64EncodedString()
        let long = Data(JWKSTests.seed + [0]).base64EncodedString()
        let good = Data(JWKSTests.seed).base64EncodedString()
        for keys in [
            "a:ed25519:", "a:ed25519:x", "a:ed25519:\(short)", "a:ed25519:\(long)", "a:rsa:\(good)", "a::\(good)",
            ":ed25519:\(good)", "a:ed25519:\(good):", "ed25519:\(good),ed25519:ed25519:\(good)",
        ] {
            let process = try Executable("get-me", environment: ["TOKEN_KEYS": keys], folder: folder.path)
            #expect(try process.wait() == .code(78), "\(keys)")
            #expect(process.error.contains("TOKEN_KEYS") && process.error.split(separator: "\n").count == 1)
        }
    }
}
