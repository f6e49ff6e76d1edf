import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct LoginTests {
    let backend: Backend
    let person: Backend.Person
    static let password = "correct horse battery"

    init() throws {
        backend = try Backend()
        person = try LoginTests.member(of: backend)
    }

    /// Somebody with a password and a number that is proven to be theirs.
    private static func member(of backend: Backend) throws -> Backend.Person {
        let mobile = Backend.mobile()
        _ = try backend.call("signup", body: ["mobile": .string(mobile), "password": .string(password)])
        return try backend.signIn(mobile: mobile, password: password)
    }

    @Test
    func `The right password signs in`() throws {
        let answer = try login(LoginTests.password)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["token", "token_type", "expires_in", "refresh_token", "user"])
        #expect(answer.json["user"]["id"].text == person.id)
        #expect(try backend.call("get-me", token: answer.json["token"].text).status == 200)
        #expect(try backend.call("refresh", body: ["refresh_token": answer.json["refresh_token"]]).status == 200)
        let kinds = try kindsOfEvents()
        #expect(kinds == ["signed_in", "signed_in"])
    }

    @Test
    func `Each sign-in is a session of its own`() throws {
        let tokens = try (0..<2).map { _ in try #require(try login(LoginTests.password).json["token"].text) }
        #expect(try backend.call("logout", token: tokens[0]).status == 204)
        #expect(try backend.call("get-me", token: tokens[1]).status == 200)
    }

    @Test
    func `A wrong password, no password, an unknown number and an unproven one are refused alike`() throws {
        let withoutPassword = try backend.signIn()
        let unproven = Backend.mobile()
        _ = try backend.call("signup", body: ["mobile": .string(unproven), "password": .string(LoginTests.password)])
        var texts: Set<String> = []
        for (mobile, password) in [
            (person.mobile, "wrong horse battery"), (withoutPassword.mobile, LoginTests.password),
            (unproven, LoginTests.password), (Backend.mobile(), LoginTests.password), (person.mobile, "x"),
            (person.mobile, LoginTests.password + " "), (person.mobile, LoginTests.password.uppercased()),
        ] {
            let answer = try login(password, mobile: mobile)
            expectProblem(answer, 401, "credentials_invalid", mobile)
            let id = try #require(answer.json["request_id"].text)
            texts.insert(answer.text.replacingOccurrences(of: id, with: ""))
        }
        #expect(texts.count == 1, "\(texts)")
    }

    @Test
    func `A password of any characters is compared whole, and as it was given`() throws {
        for password in ["пароль с пробелами 😀", String(repeating: "é", count: 128), "\"'\\$1%s--; drop", "        "] {
            let mobile = Backend.mobile()
            let body: JSONValue = ["mobile": .string(mobile), "password": .string(password)]
            #expect(try backend.call("signup", body: body).status == 201)
            _ = try backend.signIn(mobile: mobile, password: password)
            #expect(try login(password, mobile: mobile).status == 200)
            #expect(try login(String(password.dropLast()), mobile: mobile).status == 401)
        }
    }

    @Test
    func `A password is the same however a keyboard composes its characters`() throws {
        let (composed, decomposed) = ("caf\u{E9} cr\u{E8}me", "cafe\u{301} cre\u{300}me")
        for (set, typed) in [(composed, decomposed), (decomposed, composed)] {
            let mobile = Backend.mobile()
            _ = try backend.call("signup", body: ["mobile": .string(mobile)])
            let person = try backend.signIn(mobile: mobile, password: set)
            for password in [set, typed] { #expect(try login(password, mobile: mobile).status == 200) }
            let change = try backend.call(
                "change-password", token: person.token,
                body: ["current_password": .string(typed), "new_password": .string(set + "!")])
            #expect(change.status == 204, "\(change.text)")
            #expect(try login(typed + "!", mobile: mobile).status == 200)
            // What only looks alike is another.
            #expect(try login("\u{FF43}afe\u{301} cre\u{300}me!", mobile: mobile).status == 401)
        }
        let short = try backend.call(
            "signup", body: ["mobile": "+919876543210", "password": "e\u{301}e\u{301}e\u{301}e\u{301}"])
        expectProblem(short, 422, "invalid")
    }

    @Test
    func `A hash from before passwords were normalised lets its owner in, and takes the normal form`() throws {
        // Of what was typed, cafe\u{301} cre\u{300}me
        let old =
            "$argon2id$v=19$m=19456,t=2,p=1$gpFPqp5PhZ8CePpVRa0Ssw$GYOOXbGvGUExyONM/O0X6olTrZZ02dq57BPuVfJcI2w"
        try backend.database.connect().execute("update users set password_hash = \(old)")
        #expect(try login("caf\u{E9} cr\u{E8}me").status == 401)
        #expect(try login("cafe\u{301} cre\u{300}me").status == 200)
        let new = try backend.database.connect().row(String.self, "select password_hash from users")
        #expect(new != old)
        #expect(try login("caf\u{E9} cr\u{E8}me").status == 200)
        #expect(try login("cafe\u{301} cre\u{300}me").status == 200)
        #expect(try backend.database.connect().row(String.self, "select password_hash from users") == new)
    }

    @Test
    func `A password that nobody can have is refused by name`() throws {
        for password in ["", String(repeating: "x", count: 129)] {
            let answer = try login(password)
            expectProblem(answer, 422)
            #expect(answer.json["errors"][0]["field"] == "password")
        }
    }

    @Test
    func `A wrong password is recorded for the account that was tried`() throws {
        _ = try login("wrong horse battery")
        _ = try login("wrong horse battery", mobile: Backend.mobile())
        let events = try backend.call("list-security-events", token: person.token).json["events"].list
        #expect(events.map { $0["kind"] } == ["sign_in_failed", "signed_in"])
        // What was nobody's is purged.
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from unowned_events") == 1)
        let worker = try backend.worker()
        try eventually("the purge") { try database.row(Int.self, "select count(*) from unowned_events") == 0 }
        worker.kill()
        #expect(try backend.call("list-security-events", token: person.token).json["events"].list.count == 2)
    }

    @Test
    func `After five wrong passwords the right one has to wait too, whether the number has an account or not`() throws {
        for mobile in [person.mobile, Backend.mobile()] {
            for _ in 0..<4 {
                expectProblem(try login("wrong horse battery", mobile: mobile), 401, "credentials_invalid")
            }
            let began = now()
            expectProblem(try login("wrong horse battery", mobile: mobile), 401, "credentials_invalid")
            let answer = try login(LoginTests.password, mobile: mobile)
            expectProblem(answer, 429, "login_too_soon")
            let least = 29 - Int(now() - began)
            #expect((least...30).contains(answer.header("Retry-After").flatMap { Int($0) } ?? 0))
        }
        // The other ways in are not shut.
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `Waits double up to the longest, and what is refused meanwhile counts for nothing`() throws {
        let database = backend.database.connect()
        for _ in 0..<4 { #expect(try login("wrong horse battery").status == 401) }
        for expected in [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            let began = now()
            #expect(try login("wrong horse battery").status == 401)
            for _ in 0..<2 {
                let answer = try login("wrong horse battery")
                expectProblem(answer, 429, "login_too_soon")
                let wait = answer.header("Retry-After").flatMap { Int($0) } ?? 0
                let least = expected - 1 - Int(now() - began)
                #expect((least...expected).contains(wait), "\(wait) and not \(expected)")
            }
            // The wait is over, and the address has a clean sheet.
            try database.execute("update login_failures set until = now() where key like 'mobile:%'")
            try database.execute("delete from login_failures where key like 'address:%'")
        }
        #expect(try login(LoginTests.password).status == 200)
    }

    @Test
    func `The right password forgets the wrong ones before it`() throws {
        let database = backend.database.connect()
        for _ in 0..<3 {
            for _ in 0..<4 { #expect(try login("wrong horse battery").status == 401) }
            #expect(try login(LoginTests.password).status == 200)
            #expect(try database.row(Int.self, "select count(*) from login_failures where key like 'mobile:%'") == 0)
        }
        // But not the address's: who has an account could guess others' passwords for ever.
        #expect(try database.row(Int.self, "select failures from login_failures where key like 'address:%'") == 12)
    }

    @Test
    func `An address that guesses one password for many numbers has to wait, others do not`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "3"])
        let person = try LoginTests.member(of: backend)
        for _ in 0..<3 {
            let answer = try login(LoginTests.password, mobile: Backend.mobile(), of: backend, from: "192.0.2.7")
            expectProblem(answer, 401, "credentials_invalid")
        }
        let late = try login(LoginTests.password, mobile: person.mobile, of: backend, from: "192.0.2.7")
        expectProblem(late, 429, "login_too_soon")
        #expect(
            try login(LoginTests.password, mobile: person.mobile, of: backend, from: "192.0.2.8").status == 200)
    }

    @Test
    func `Addresses of IPv6 count by the network that their owner has`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "3"])
        func status(_ address: String) throws -> Int {
            try login("wrong horse battery", mobile: Backend.mobile(), of: backend, from: address).status
        }
        #expect(
            try ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8::4"].map(status) == [401, 401, 401, 429])
        #expect(try status("2001:db8:0:1::1") == 401)
        // Those of IPv4 in IPv6 are one each.
        #expect(try (1...4).map { try status("::ffff:192.0.2.\($0)") } == [401, 401, 401, 401])
    }

    @Test
    func `Of fifty guesses at once five are judged, right or wrong`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "1000"], processes: 8)
        let person = try LoginTests.member(of: backend)
        for mobile in [person.mobile, Backend.mobile()] {
            let statuses = try concurrently(50) { _ in
                try self.login("wrong horse battery", mobile: mobile, of: backend).status
            }
            #expect(statuses.filter { $0 == 401 }.count == 5, "\(statuses)")
            #expect(statuses.filter { $0 == 429 }.count == 45, "\(statuses)")
        }
        #expect(try login(LoginTests.password, mobile: person.mobile, of: backend).status == 429)
    }

    @Test
    func `Of fifty guesses at once from one address as many are judged as an address may`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "7"], processes: 8)
        _ = try backend.signIn()
        let mobiles = (0..<50).map { _ in Backend.mobile() }
        let statuses = try concurrently(50) { index in
            try self.login("wrong horse battery", mobile: mobiles[index], of: backend).status
        }
        #expect(statuses.filter { $0 == 401 }.count == 7 && statuses.filter { $0 == 429 }.count == 43, "\(statuses)")
    }

    @Test
    func `Right and wrong passwords of many people at once get in no one's way`() throws {
        let backend = try Backend(["LOGIN_TRIES_BY_ADDRESS": "1000"], processes: 4)
        let people = try (0..<6).map { _ in try LoginTests.member(of: backend) }
        let statuses = try concurrently(24) { index in
            let password = index < 12 ? LoginTests.password : "wrong horse battery"
            return try self.login(password, mobile: people[index % 6].mobile, of: backend).status
        }
        #expect(statuses[..<12].allSatisfy { $0 == 200 } && statuses[12...].allSatisfy { $0 == 401 }, "\(statuses)")
        let left = try backend.database.connect().row(
            Int.self, "select failures from login_failures where key like 'address:%'")
        #expect(left == 12)
    }

    @Test
    func `A hash with yesterday's figures is made anew at the next sign-in`() throws {
        let database = backend.database.connect()
        let weak = "$argon2id$v=19$m=8192,t=1,p=1$oDQRiGLxJwx/+DJtyp94Fw$G3K5B2Q5ivPJxKOxChKpx6at5QNNpvYqWnv7tKLaLMQ"
        try database.execute("update users set password_hash = \(weak)")
        #expect(try login("wrong horse battery").status == 401)
        #expect(try database.row(String.self, "select password_hash from users") == weak)
        #expect(try login(LoginTests.password).status == 200)
        let hash = try #require(try database.row(String.self, "select password_hash from users"))
        #expect(hash.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$"))
        #expect(try login(LoginTests.password).status == 200)
        #expect(try database.row(String.self, "select password_hash from users") == hash)
    }

    @Test
    func `A hash that is none opens nothing`() throws {
        for hash in ["", "x", LoginTests.password, "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$$"] {
            try backend.database.connect().execute("update users set password_hash = \(hash)")
            try backend.database.connect().execute("delete from login_failures")
            expectProblem(try login(LoginTests.password), 401, "credentials_invalid", hash)
        }
    }

    @Test
    func `Failures are forgotten with time, and purged`() throws {
        let database = backend.database.connect()
        for _ in 0..<5 { _ = try login("wrong horse battery") }
        _ = try login("wrong horse battery", mobile: Backend.mobile())
        try database.execute(
            """
            update login_failures set failed_at = failed_at - interval '31 days', until = until - interval '31 days'
            where key <> 'mobile:' || \(person.mobile)
            """)
        let worker = try backend.worker()
        try eventually("the purge") { try database.row(Int.self, "select count(*) from login_failures") == 1 }
        worker.kill()
        try database.execute(
            "update login_failures set failed_at = failed_at - interval '31 days', until = until - interval '31 days'"
        )
        #expect(try login("wrong horse battery").status == 401)
        #expect(try database.row(Int.self, "select failures from login_failures where key like 'mobile:%'") == 1)
    }

    @Test
    func `The memory of a hash is given back`() throws {
        #expect(try login("wrong horse battery").status == 401)
        #expect(try login(LoginTests.password).status == 200)
        let process = try backend.endpoint("login").processes[0]
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let memory = try #require(status.firstMatch(of: /RssAnon:\s+(\d+) kB/).flatMap { Int($0.output.1) })
        #expect(memory < 10_000, "\(memory) kB")
    }

    @Test
    func `Nobody can tell by the time that it takes whether a number has an account`() throws {
        let backend = try Backend(["LOGIN_TRIES": "100000", "LOGIN_TRIES_BY_ADDRESS": "100000"])
        let person = try LoginTests.member(of: backend)
        let stranger = Backend.mobile()
        // What else runs on the machine may tell the medians of one measurement apart; what the handler does would each time.
        var measured: [(isAlike: Bool, figures: String)] = []
        while measured.count < 4, measured.last?.isAlike != true {
            var times: [[Double]] = [[], []]
            for round in 0..<(4 + 150) {
                // Each kind is first as often as the other.
                for index in round % 2 == 0 ? [0, 1] : [1, 0] {
                    let begun = now()
                    let answer = try login(
                        "wrong horse battery", mobile: [person.mobile, stranger][index], of: backend)
                    #expect(answer.status == 401)
                    if round >= 4 { times[index].append(now() - begun) }
                }
            }
            let medians = times.map { $0.sorted()[$0.count / 2] }
            // A rank test (Mann and Whitney): how often one of the first takes longer than one of the second.
            let pairs = times[0].flatMap { first in times[1].map { first > $0 ? 1.0 : first == $0 ? 0.5 : 0 } }
            let share = pairs.reduce(0, +) / Double(pairs.count)
            let deviation = (Double(150 + 150 + 1) / Double(12 * 150 * 150)).squareRoot()
            // By chance alone the ranks are further apart once in 15,000 times.
            let isAlike = abs(share - 0.5) < 4 * deviation && abs(medians[0] - medians[1]) < 0.25 * medians[0]
            measured.append((isAlike, "medians \(medians.map { $0 * 1_000 }) ms, share \(share)"))
            print("login, known and unknown numbers: \(measured.last?.figures ?? "")")
        }
        #expect(measured.last?.isAlike == true, "\(measured.map(\.figures))")
    }

    @Test
    func `Neither the database nor the logs hold a password`() throws {
        let wrong = "wrong horse battery"
        _ = try login(wrong)
        _ = try login(LoginTests.password)
        let held = try backend.database.connect().rows(
            String.self,
            """
            select concat((select json_agg(s) from sessions s), (select json_agg(e) from security_events e),
                (select json_agg(u) from users u), (select json_agg(f) from login_failures f))
            """
        ).joined()
        let log = try backend.endpoint("login").processes.map(\.error).joined()
        #expect(held.contains(person.id) && log.contains("answered"))
        for password in [wrong, LoginTests.password] { #expect(!held.contains(password) && !log.contains(password)) }
    }

    private func login(
        _ password: String, mobile: String? = nil, of backend: Backend? = nil, from address: String = "127.0.0.1"
    ) throws -> Answer {
        let body = JSONValue.object(["mobile": .string(mobile ?? person.mobile), "password": .string(password)]).bytes
        var parameters = Backend.parameters(length: body.count, type: "application/json")
        parameters["REMOTE_ADDR"] = address
        let connection = try FastCGI((backend ?? self.backend).endpoint("login").listener.path)
        connection.sendRequest(parameters, body: body)
        return try connection.answer()
    }

    private func kindsOfEvents() throws -> [String] {
        try backend.database.connect().rows(String.self, "select kind from security_events order by kind")
    }
}
