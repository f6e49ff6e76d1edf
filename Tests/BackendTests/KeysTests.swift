import Common
import Foundation
import TestSupport
import Testing

/// Keys that are derived for each program, beside the root keys that they come from.
@Suite(.threads)
struct KeysTests {
    /// Root keys: two of HS256, and the pair of JWKSTests.
    private static let secrets = "\(JWKSTests.secret),old:\(Data(Backend.olderKey).base64EncodedString())"
    private static let newest = "newest:" + "bmV3ZXN0IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIQ=="

    /// Processes that have root keys, or each its own that are derived from them.
    struct Deployment: Sendable, CustomTestStringConvertible {
        let roots: String
        let isDerived: Bool
        var testDescription: String {
            let kids = roots.split(separator: ",").map { $0.prefix { $0 != ":" } }.joined(separator: " and ")
            return "\(isDerived ? "derived from" : "root keys") \(kids)"
        }

        func backend(_ settings: [String: String] = [:], on database: TestDatabase? = nil) throws -> Backend {
            try Backend(
                settings.merging(["TOKEN_KEYS": roots]) { $1 }, database: database,
                programKeys: isDerived ? KeysTests.keys(from: roots, "--old-tokens") : nil)
        }
    }

    static let rooted = Deployment(roots: secrets, isDerived: false)
    static let derived = Deployment(roots: secrets, isDerived: true)

    /// What `cron-worker --keys` prints for these root keys, by the programs.
    private static func keys(from roots: String, _ more: String...) throws -> [String: String] {
        let (exit, output, error) = try worker(["--keys"] + more, roots)
        guard exit == .code(0), error.isEmpty else { throw Executable.Failure("--keys: \(error)") }
        return Dictionary(
            uniqueKeysWithValues: try output.split(separator: "\n").map { line in
                let words = line.split(separator: " ")
                guard words.count == 2 else { throw Executable.Failure("a line of --keys: \(line)") }
                return (String(words[0]), String(words[1]))
            })
    }

    private static func worker(_ arguments: [String], _ keys: String) throws -> (
        exit: Executable.Exit, output: String, error: String
    ) {
        let folder = try Folder()
        let process = try Executable("cron-worker", arguments, environment: ["TOKEN_KEYS": keys], folder: folder.path)
        let exit = try process.wait()
        return (exit, process.output, process.error)
    }

    /// The entries of a setting: kid, purpose, value.
    private func entries(_ setting: String) -> [(kid: String, purpose: String, value: String)] {
        setting.split(separator: ",").map { entry in
            let parts = entry.split(separator: ":").map(String.init)
            return (parts[0], parts[1], parts[2])
        }
    }

    // MARK: The table

    @Test
    func `The table of purposes agrees with what the sources of each program use`() throws {
        let uses: [KeyPurpose: Regex<Substring>] = [
            .sign: /\.signIn\(/, .verify: /\bcaller\(\)|\bserveChange\(|\bserve\(forgetting:|\.published\b/,
            .refresh: /RefreshToken\(\)|\.isGenuine\(|\[\.refresh\]/, .cursor: /\bPage(?:\.ofMessages)?\(/,
            .share: /\bShare\.(?:token|answer)\b/, .otp: /\bOTP\.hashes\(|\bOTP\(sealed:|\bsendOTP\(/,
            .limit: /\bKeptLimits\.|\bsendOTP\(/, .old: /\bcaller\(\)|\bserveChange\(|\bserve\(forgetting:/,
        ]
        #expect(Set(uses.keys) == Set(KeyPurpose.allCases))
        for (purpose, use) in uses {
            let users = try programs().filter { try source(of: $0).contains(use.wordBoundaryKind(.simple)) }
            #expect(Set(users) == purpose.programs, "\(purpose): see KeyPurpose.programs")
        }
    }

    @Test
    func `Keys are used where the table's test looks for them, and nowhere else`() throws {
        let sources = "\(projectFolder)/Sources"
        let users = try FileManager.default.subpathsOfDirectory(atPath: sources).filter { file in
            try file.hasSuffix(".swift")
                && String(contentsOfFile: "\(sources)/\(file)", encoding: .utf8).contains("tokenKeys")
        }
        #expect(
            Set(users) == [
                "Common/KeptLimits.swift", "Common/OTP.swift", "Common/Page.swift", "Common/RefreshToken.swift",
                "Common/Settings.swift", "Common/Share.swift", "Common/SignIn.swift", "Common/Token.swift",
                "Upstream/SMS.swift", "cron-worker/ProgramKeys.swift", "handlers/jwks/main.swift",
                "handlers/refresh/main.swift",
            ])
    }

    private func programs() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(projectFolder)/Sources/handlers")
            .filter { !$0.contains(".") } + ["cron-worker"]
    }

    private func source(of program: String) throws -> String {
        let folder = "\(projectFolder)/Sources/\(program == "cron-worker" ? "" : "handlers/")\(program)"
        return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
            .map { try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8) }.joined()
    }

    // MARK: What is handed out

    @Test(arguments: [false, true])
    func `Each program gets the keys of its purposes, in the order of the root keys, and no other`(oldTokens: Bool)
        throws
    {
        let roots = "\(JWKSTests.pair),\(KeysTests.secrets)"
        let handed = try oldTokens ? KeysTests.keys(from: roots, "--old-tokens") : KeysTests.keys(from: roots)
        let kids = ["pair", "new", "old"]
        for program in try programs() {
            let purposes = KeyPurpose.allCases.filter {
                $0.programs.contains(program) && (oldTokens || $0 != .old)
            }
            let expected = purposes.flatMap { purpose -> [String] in
                switch purpose {
                case .sign: kids.map { "\($0).access:sign" }
                case .verify: ["pair.access:verify", "pair:verify", "new.access:verify", "old.access:verify"]
                case .old: ["new:old", "old:old"]
                default: kids.map { "\($0):\(purpose.rawValue)" }
                }
            }
            let setting = handed[program] ?? ""
            #expect(entries(setting).map { "\($0.kid):\($0.purpose)" } == expected, "\(program)")
        }
        for program in ["get-shared", "health", "metrics", "ready", "signup", "stripe-webhook"] {
            #expect(handed[program] == nil, "\(program)")
        }
    }

    @Test
    func `The values are those that processes with root keys use`() throws {
        let handed = try KeysTests.keys(from: JWKSTests.secret, "--old-tokens")
        let labels = [
            "sign": "access token", "refresh": "refresh token", "cursor": "cursor", "share": "share",
            "otp": "one-time password", "limit": "limit",
        ]
        var seen: Set<String> = []
        for entry in handed.values.flatMap(entries) {
            let value = labels[entry.purpose].map { Sodium.hmac($0.utf8, key: Backend.key) }
            switch entry.purpose {
            case "verify": #expect(Sodium.decode(entry.value, standard: true)?.count == 32)
            case "old": #expect(entry.value == Sodium.base64(Backend.key))
            default: #expect(entry.value == value.map { Sodium.base64($0) }, "\(entry.purpose)")
            }
            seen.insert(entry.purpose)
        }
        #expect(seen == Set(KeyPurpose.allCases.map(\.rawValue)))
    }

    @Test
    func `A program that only verifies has no secret`() throws {
        let roots = "\(JWKSTests.pair),\(KeysTests.secrets)"
        let handed = try KeysTests.keys(from: roots)
        let secrets =
            handed.values.flatMap(entries).filter { $0.purpose != "verify" }.map(\.value)
            + [JWKSTests.seed, Backend.key, Backend.olderKey].map { Sodium.base64($0) }
        #expect(Set(secrets).count == 3 * 6 + 3)
        let verifying = KeyPurpose.verify.programs.filter { program in
            !KeyPurpose.allCases.contains { ![.verify, .old].contains($0) && $0.programs.contains(program) }
        }
        #expect(verifying.count > 30 && verifying.contains("get-me") && verifying.contains("jwks"))
        for program in verifying {
            let setting = try #require(handed[program])
            for secret in secrets { #expect(!setting.contains(secret), "\(program)") }
        }
        // Nobody gets a root secret, until they are told to verify what it signed.
        for root in secrets.suffix(3) { #expect(!handed.values.contains { $0.contains(root) }) }
    }

    // MARK: What they serve

    @Test
    func `Each endpoint serves with its keys alone`() throws {
        let backend = try KeysTests.derived.backend()
        for endpoint in try programs() where endpoint != "cron-worker" {
            // Some sign out, or delete the account.
            let person = try backend.signIn()
            let answer = try backend.call(endpoint, token: person.token)
            #expect(answer.status < 500 || endpoint == "ready", "\(endpoint): \(answer.text)")
            if KeyPurpose.verify.programs.contains(endpoint) { #expect(answer.status != 401, "\(endpoint)") }
        }
    }

    @Test
    func `A token of a derived key says so, and PyJWT verifies it by what jwks shows`() throws {
        let backend = try Deployment(roots: JWKSTests.pair, isDerived: true).backend()
        let person = try backend.signIn()
        #expect(try Forged(person.token).header == ["alg": "EdDSA", "kid": "pair.access", "typ": "at+jwt"])
        let keys = try backend.call("jwks")
        // The root key's own is there too, for the tokens that it signed.
        #expect(keys.json["keys"].list.map { $0["kid"].text } == ["pair.access", "pair"])
        let old = try Deployment(roots: JWKSTests.pair, isDerived: false).backend(on: backend.database)
        let earlier = try old.signIn()
        #expect(try Forged(earlier.token).header["kid"] == "pair")
        let script = """
            import jwt, sys
            keys = jwt.PyJWKSet.from_json(sys.argv[1])
            for token, user in [sys.argv[2:4], sys.argv[4:6]]:
                key = keys[jwt.get_unverified_header(token)["kid"]]
                claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="gemini-chat-backend",
                                    issuer="gemini-chat-backend")
                assert claims["sub"] == user, claims
            print("good")
            """
        let run = try Python.run(["-c", script, keys.text, person.token, person.id, earlier.token, earlier.id])
        #expect(run.exit == .code(0) && run.output == "good\n", "\(run.error)")
    }

    @Test
    func `A password and a refresh token sign in and out`() throws {
        let backend = try KeysTests.derived.backend()
        let mobile = Backend.mobile()
        #expect(try backend.call("signup", body: ["mobile": .string(mobile)]).status == 201)
        _ = try backend.signIn(mobile: mobile, password: "correct horse")
        let login = try backend.call("login", body: ["mobile": .string(mobile), "password": "correct horse"])
        #expect(login.status == 200, "\(login.text)")
        let refreshed = try backend.call("refresh", body: ["refresh_token": login.json["refresh_token"]])
        #expect(refreshed.status == 200, "\(refreshed.text)")
        let token = try #require(refreshed.json["token"].text)
        #expect(try backend.call("get-me", token: token).status == 200)
        let logout = try backend.call("logout", body: ["refresh_token": refreshed.json["refresh_token"]])
        #expect(logout.status == 204)
        expectProblem(try backend.call("get-me", token: token), 401, "session_ended")
    }

    // MARK: The change

    static let changes: [(before: Deployment, after: Deployment)] = {
        let pair = [false, true].map { Deployment(roots: JWKSTests.pair, isDerived: $0) }
        let rotated = [false, true].map { Deployment(roots: "\(newest),\(secrets)", isDerived: $0) }
        return [
            (rooted, derived), (derived, rooted), (derived, derived), (pair[0], pair[1]), (pair[1], pair[0]),
            (rooted, rotated[1]), (derived, rotated[0]), (derived, rotated[1]),
        ]
    }()

    @Test(arguments: changes)
    func `Sessions, cursors, links and codes go on through a change of the keys`(before: Deployment, after: Deployment)
        throws
    {
        let old = try before.backend()
        let new = try after.backend(on: old.database)
        let person = try old.signIn()
        #expect(try new.call("get-me", token: person.token).status == 200)

        let room = try old.room(person)
        for number in 0..<2 { _ = try old.post("\(number)", room, person) }
        let page = try old.call("list-messages", room: room, token: person.token, query: "limit=1")
        let cursor = try #require(page.json["next_cursor"].text)
        let next = try new.call(
            "list-messages", room: room, token: person.token, query: "limit=1&cursor=\(cursor)")
        #expect(next.status == 200 && next.json["messages"].list.count == 1, "\(next.text)")

        let share = try old.call("share-chatroom", room: room, token: person.token, body: [:])
        let url = try #require(share.json["url"].text)
        #expect(try new.call("list-shares", token: person.token).json["shares"][0]["url"] == share.json["url"])
        let link = try #require(url.split(separator: "#").last)
        #expect(try new.call("get-shared", path: ["SHARE_TOKEN": String(link)]).status == 200)

        let mobile = JSONValue.string(Backend.mobile())
        #expect(try old.call("signup", body: ["mobile": mobile]).status == 201)
        let code = try old.call("send-otp", body: ["mobile": mobile]).json["otp"]
        #expect(try new.call("verify-otp", body: ["mobile": mobile, "otp": code]).status == 200)

        try expectRefreshes(person, before: old, after: new)
    }

    /// A repeat at a process of after the change gets the same refresh token, and the session goes on with it.
    private func expectRefreshes(_ person: Backend.Person, before old: Backend, after new: Backend) throws {
        let body: JSONValue = ["refresh_token": .string(person.refreshToken)]
        let first = try old.call("refresh", body: body)
        let repeated = try new.call("refresh", body: body)
        #expect(first.status == 200 && repeated.status == 200, "\(first.text) \(repeated.text)")
        #expect(first.json["refresh_token"] == repeated.json["refresh_token"])
        for token in [first, repeated].map({ $0.json["token"].text }) {
            #expect(try new.call("get-me", token: token).status == 200)
        }
        let next = try new.call("refresh", body: ["refresh_token": first.json["refresh_token"]])
        #expect(next.status == 200, "\(next.text)")
        #expect(try new.call("get-me", token: next.json["token"].text).status == 200)
    }

    @Test(arguments: changes)
    func `What limits a deleted number limits it after the change`(before: Deployment, after: Deployment) throws {
        let old = try before.backend()
        let new = try after.backend(on: old.database)
        let person = try old.signIn()
        try old.database.connect().execute(
            "update users set password_hash = \(try Password.hash("correct horse")) where id = \(person.id)::uuid")
        #expect(try old.call("delete-me", token: person.token, body: ["password": "correct horse"]).status == 204)
        expectProblem(try new.call("send-otp", body: ["mobile": .string(person.mobile)]), 429, "otp_too_soon")
    }

    @Test
    func `After a rotation the newest key signs, and a repeat gets the answer of the key before`() throws {
        let old = try KeysTests.derived.backend()
        let roots = "\(KeysTests.newest),\(KeysTests.secrets)"
        let new = try Deployment(roots: roots, isDerived: true).backend(on: old.database)
        let person = try old.signIn()
        let body: JSONValue = ["refresh_token": .string(person.refreshToken)]
        let first = try old.call("refresh", body: body)
        #expect(try new.call("refresh", body: body).body == first.body)
        #expect(try Forged(try #require(first.json["token"].text)).header["kid"] == "new.access")
        let next = try new.call("refresh", body: ["refresh_token": first.json["refresh_token"]])
        #expect(try Forged(try #require(next.json["token"].text)).header["kid"] == "newest.access")
        // When the old keys are gone, the session goes on with the new one.
        let alone = try Deployment(roots: KeysTests.newest, isDerived: true).backend(on: old.database)
        #expect(try alone.call("refresh", body: ["refresh_token": next.json["refresh_token"]]).status == 200)
        expectProblem(try alone.call("get-me", token: person.token), 401, "token_invalid")
    }

    @Test
    func `Without the old keys a token of HS256 is refused, and its session goes on`() throws {
        let old = try KeysTests.rooted.backend()
        let new = try Backend(database: old.database, programKeys: try KeysTests.keys(from: KeysTests.secrets))
        let person = try old.signIn()
        expectProblem(try new.call("get-me", token: person.token), 401, "token_invalid")
        let refreshed = try new.call("refresh", body: ["refresh_token": .string(person.refreshToken)])
        #expect(refreshed.status == 200)
        let token = try #require(refreshed.json["token"].text)
        #expect(try new.call("get-me", token: token).status == 200)
        #expect(try old.call("get-me", token: token).status == 200)
    }

    @Test(arguments: [(derived, derived), (derived, rooted), (rooted, derived)])
    func `The worker opens the codes that the handlers sealed`(handlers: Deployment, workers: Deployment) throws {
        let settings = ["OTP_DELIVERY": "log"]
        let backend = try handlers.backend(settings)
        let mobile = JSONValue.string(Backend.mobile())
        #expect(try backend.call("signup", body: ["mobile": mobile]).status == 201)
        #expect(try backend.call("send-otp", body: ["mobile": mobile]).status == 200)
        let other = try workers.backend(settings, on: backend.database)
        let worker = try other.worker()
        try eventually("the code") { worker.error.contains(/"code":"[0-9]{6}"/) }
        let code = try #require(worker.error.firstMatch(of: /"code":"([0-9]{6})"/)).output.1
        let answer = try backend.call("verify-otp", body: ["mobile": mobile, "otp": .string(String(code))])
        #expect(answer.status == 200, "\(answer.text)")
        withExtendedLifetime(other) {}
    }

    // MARK: What is refused

    @Test
    func `Keys that cannot be used end the process at its start with one line that says why and tells no key`() throws {
        let folder = try Folder()
        let key = Sodium.base64(Backend.key)
        let (short, long) = (Sodium.base64(Backend.key.dropLast()), Sodium.base64(Backend.key + [0]))
        let nine = (1...9).map { "\($0):refresh:\(key)" }.joined(separator: ",")
        let seventeen = (1...17).map { "\($0):verify:\(key)" }.joined(separator: ",")
        for (keys, reason) in [
            ("", "TOKEN_KEYS is not set, but a key for verify is needed"),
            ("1:refresh:\(key)", "TOKEN_KEYS has no key for verify"),
            ("1:old:\(key)", "TOKEN_KEYS has no key for verify"),
            ("1:verify:\(key),1:verify:\(key)", "TOKEN_KEYS names the kid 1 for verify twice"),
            ("\(JWKSTests.pair),pair:\(key)", "TOKEN_KEYS names the kid pair twice"),
            ("a:\(key),a.access:ed25519:\(key)", "TOKEN_KEYS names the kid a.access for verify twice"),
            ("1:verify:\(short)", "the key 1 for verify in TOKEN_KEYS does not have 32 bytes"),
            ("1:verify:\(long)", "the key 1 for verify in TOKEN_KEYS does not have 32 bytes"),
            ("1:otp:\(long)", "the key 1 for otp in TOKEN_KEYS does not have 32 bytes"),
            ("1:old:\(short)", "the key 1 for old in TOKEN_KEYS does not have 32 bytes"),
            ("1:paint:\(key)", "the key 1 in TOKEN_KEYS has an unknown purpose"),
            ("1:\(key):\(key)", "the key 1 in TOKEN_KEYS has an unknown purpose"),
            ("1:verify:\(key.dropLast())", "the key 1 in TOKEN_KEYS is not base64"),
            ("1:verify:\(key):\(key)", "TOKEN_KEYS must be kid:base64"),
            ("1 2:verify:\(key)", "a kid in TOKEN_KEYS must be of letters"),
            ("1:\(key),2:verify:\(key)", "TOKEN_KEYS holds both root keys and derived keys"),
            (nine, "TOKEN_KEYS has more than 8 keys of one purpose"),
            (seventeen, "TOKEN_KEYS has more than 8 keys of one purpose"),
        ] {
            let process = try Executable("get-me", environment: ["TOKEN_KEYS": keys], folder: folder.path)
            #expect(try process.wait() == .code(78), "\(keys)")
            #expect(process.error.contains(reason), "\(keys): \(process.error)")
            #expect(process.error.split(separator: "\n").count == 1 && !process.error.contains(key.dropLast()))
        }
    }

    @Test
    func `A program that lacks the key of a purpose does not start, and says which`() throws {
        let folder = try Folder()
        let handed = try KeysTests.keys(from: JWKSTests.secret)
        for (program, setting) in handed where program != "cron-worker" {
            for purpose in Set(entries(setting).map(\.purpose)) {
                let rest = setting.split(separator: ",").filter { !$0.contains(":\(purpose):") }
                let process = try Executable(
                    program, environment: ["TOKEN_KEYS": rest.joined(separator: ",")], folder: folder.path)
                #expect(try process.wait() == .code(78), "\(program) \(purpose)")
                let reason =
                    rest.isEmpty
                    ? "TOKEN_KEYS is not set, but a key for \(purpose) is needed"
                    : "TOKEN_KEYS has no key for \(purpose)"
                #expect(process.error.contains(reason), "\(program): \(process.error)")
            }
        }
    }

    @Test
    func `Keys are derived from root keys alone`() throws {
        for (keys, reason) in [
            ("", "TOKEN_KEYS is not set"),
            ("1.access:verify:\(Sodium.base64(Backend.key))", "TOKEN_KEYS holds derived keys and no root key"),
        ] {
            let (exit, output, error) = try KeysTests.worker(["--keys"], keys)
            #expect(exit == .code(78) && output.isEmpty)
            #expect(error.contains(reason) && error.split(separator: "\n").count == 1, "\(error)")
        }
        let (exit, _, error) = try KeysTests.worker(["--old-tokens"], KeysTests.secrets)
        #expect(exit == .code(64) && error.contains("--old-tokens belongs to --keys"))
    }
}
