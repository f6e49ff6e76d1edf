import Common
import Foundation
import TestSupport

/// A database of the release before this one: its 54 migrations, its owner who may log in, and what people had in it by then
/// (Tests/SQL/older-release.sql). Their secrets are computed here, and not by what the tests look at.
final class OlderRelease {
    /// Its cluster is its own: the release before had one role.
    let test: TestDatabase
    /// As the owner. Its temporary tables say what people were shown.
    let database: Database
    let people: [Person]

    /// `TOKEN_KEYS` of that release.
    static let roots = [("new", Backend.key), ("old", Backend.olderKey)]
        .map { "\($0):\(Data($1).base64EncodedString())" }.joined(separator: ",")

    /// Somebody with a session that has been refreshed as often as `generation` says.
    struct Person {
        let number: Int
        let id = Sodium.uuid()
        let session = Sodium.uuid()
        let share = Sodium.uuid()
        var mobile: String { "+9197\(10_000_000 + number)" }
        var generation: Int { number % 4 }
        /// Whether the answer to the last refresh was lost.
        var isUnused: Bool { number % 10 == 1 && generation > 0 }
        private var kid: String { number % 4 == 3 ? "old" : "new" }
        private var key: [UInt8] { kid == "old" ? Backend.olderKey : Backend.key }

        /// The access token that they got 20 minutes ago.
        var token: String {
            let time = Int(Date().timeIntervalSince1970) - 1_200
            let issuer = "gemini-chat-backend"
            let claims = """
                {"iss":"\(issuer)","aud":"\(issuer)","sub":"\(id)","sid":"\(session)","iat":\(time),"exp":\(time + 3_600)}
                """
            let header = #"{"alg":"HS256","kid":"\#(kid)","typ":"at+jwt"}"#
            let message = Sodium.base64url(header.utf8) + "." + Sodium.base64url(claims.utf8)
            return message + "." + Sodium.base64url(Sodium.hmac(message.utf8, key: key))
        }

        func refreshToken(_ generation: Int) -> String {
            "\(id).\(session).\(generation).\(Sodium.base64url(refreshSecret(generation)))"
        }

        fileprivate var refreshHash: String { Sodium.sha256(refreshSecret(generation)).hex }

        private func refreshSecret(_ generation: Int) -> [UInt8] {
            Sodium.hmac("\(session)|\(generation)".utf8, key: Sodium.hmac("refresh token".utf8, key: key))
        }

        var shareToken: String {
            Sodium.base64url(Sodium.hmac("\(id)|\(share)".utf8, key: Sodium.hmac("share".utf8, key: key)))
        }

        fileprivate var shareHash: String { Sodium.sha256(Array(shareToken.utf8)).hex }
    }

    /// A question with its reply, as people were shown it.
    struct Turn: Decodable {
        let number: Int
        let turn: Int
        let room: ID
        let question: ID
        let reply: ID
        let asked: String
        let answered: String
        let status: String
    }

    init() throws {
        let postgres = try Postgres()
        let test = try postgres.createDatabase(isEmpty: true)
        self.test = test
        try postgres.admin {
            try $0.script("create role app login")
            try $0.script("alter database \(test.name) owner to app")
        }
        database = Database(test.url(as: "app"), prepares: true, timeout: 60_000, connectTimeout: 60_000)
        people = (0..<250).map { Person(number: $0) }
        try migrate()
        try fill()
    }

    /// As that release did it.
    private func migrate() throws {
        try database.execute(
            """
            create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())
            """)
        let folder = "\(projectFolder)/Sources/Common/Schema"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter { file in
            file.hasSuffix(".sql") && Int(file.prefix(4)).map { $0 <= 54 } ?? false
        }
        guard files.count == 54 else { throw Executable.Failure("\(files.count) migrations of the release before") }
        for file in files {
            let name = String(file.dropFirst("0001_".count).dropLast(".sql".count))
            let sql = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
            try database.transaction {
                try database.execute("insert into migrations (name) values (\(name))")
                try database.script(sql)
            }
        }
    }

    private func fill() throws {
        try database.script(
            """
            create temp table people (
                n int, user_id uuid, mobile text, session_id uuid, generation int, refresh_hash text, is_unused boolean,
                share_id uuid, share_hash text)
            """)
        try database.execute(
            """
            insert into people select * from unnest(
                \(people.map(\.number))::int[], \(people.map(\.id))::uuid[], \(people.map(\.mobile))::text[],
                \(people.map(\.session))::uuid[], \(people.map(\.generation))::int[],
                \(people.map(\.refreshHash))::text[], \(people.map(\.isUnused))::boolean[],
                \(people.map(\.share))::uuid[], \(people.map(\.shareHash))::text[])
            """)
        try database.script(
            String(contentsOfFile: "\(projectFolder)/Tests/SQL/older-release.sql", encoding: .utf8))
    }

    func turns(of person: Person) throws -> [Turn] {
        try database.rows(
            Turn.self,
            """
            select number, turn, room, question, reply, asked, answered, status from turns
            where n = \(person.number)::int order by number, turn
            """)
    }

    // MARK: Codes

    private static func hash(_ code: String, _ mobile: String, _ purpose: String) -> String {
        let key = Sodium.hmac("one-time password".utf8, key: Backend.key)
        return Sodium.hmac("\(purpose)|\(mobile)|\(code)".utf8, key: key).hex
    }

    /// A code that was sent a moment ago, after another.
    func sendCode(_ code: String, to mobile: String, _ purpose: String = "sign_in", after earlier: String = "000000")
        throws
    {
        try database.execute(
            """
            insert into otps (mobile, purpose, code_hash, expires_at, asked_from, superseded)
            values (
                \(mobile), \(purpose), \(OlderRelease.hash(code, mobile, purpose)), now() + interval '5 minutes',
                'address:127.0.0.1', array[\(OlderRelease.hash(earlier, mobile, purpose))])
            """)
    }

    /// Codes on their way to a phone, each as that release sealed it under the tests' key: their format is not made by what reads it.
    static let sealed: [(mobile: String, code: String, sealed: String, state: String)] = [
        ("+919812000001", "271828", "q00OAr_NrxMp354SGjaXxpwmHJIEOWy1v_wYSdjjzpsQWeqFgJLOumilkDlULw", "ready"),
        ("+919812000002", "314159", "36KNMVZXsNLds-_KEGgkrXHyNkrZhIktK8qoFBVfq7YJNRE3QLpVgtT7iQGGkg", "waiting"),
        ("+919812000003", "161803", "cpgAzP5IO-iY1RbwG9PLO62bZpxK1vosuk5Dqq0na-hrykKThKOYzo_zDwq6dA", "running"),
    ]

    /// Queues them: one that nobody has begun to send, one to be tried again, and one whose worker has died.
    func queueCodes() throws {
        for one in OlderRelease.sealed {
            try database.execute(
                "insert into users (mobile, mobile_verified_at) values (\(one.mobile), now() - interval '1 day')")
            try sendCode(one.code, to: one.mobile)
            try database.execute(
                """
                insert into jobs (user_id, lane, id, kind, payload)
                select md5('otp:' || o.mobile)::uuid, j.id, j.id, 'otp', jsonb_build_object(
                    'mobile', o.mobile, 'purpose', o.purpose, 'expires_at', o.expires_at, 'sealed', \(one.sealed)::text)
                from otps o cross join (select uuidv7(clock_timestamp()) as id offset 0) j where o.mobile = \(one.mobile)
                """)
            try put("payload ->> 'mobile' = \(one.mobile)", into: one.state)
        }
    }

    /// Has a worker ask Stripe about customers, who bought Pro of which our rows know nothing yet.
    func queueStripe(_ customers: [(person: Person, id: String, state: String)]) throws {
        for customer in customers {
            try database.execute(
                """
                insert into stripe_customers (user_id, customer) values (\(customer.person.id), \(customer.id))
                """)
            try database.execute("select queue_stripe(\(customer.id))")
            try put("payload ->> 'customer' = \(customer.id)", into: customer.state)
        }
    }

    /// Puts a queued job into the state that a worker left it in.
    private func put(_ job: SQL, into state: String) throws {
        guard state != "ready" else { return }
        let isRunning = state == "running"
        try database.execute(
            """
            update jobs set state = \(state)::job_state, attempts = 1,
                worker = case when \(isRunning)::boolean then gen_random_uuid() end,
                leased_until = case when \(isRunning)::boolean then now() - interval '1 second' end, started_at = now()
            where \(job)
            """)
    }

    // MARK: What outlives an account

    /// Keeps what limits the number of an account that was deleted in the midst of a day: a code of a moment ago, or its messages.
    func keepLimits(of mobile: String, messages: Int) throws {
        let key = "kept:" + Sodium.hmac(mobile.utf8, key: Sodium.hmac("limit".utf8, key: Backend.key)).hex
        if messages == 0 {
            try database.execute(
                "insert into otp_sends (key, sent) values (\(key), array[now() - interval '10 seconds'])")
        } else {
            try database.execute(
                """
                insert into kept_usage (key, day, used, free_at, ends_at)
                values (\(key), current_date, \(messages)::int, now(), now() + interval '12 hours')
                """)
        }
    }

    // MARK: Answers for whoever repeats a request

    /// Keeps an answer, as an expression of SQL over a row `t` of `turns`.
    func keepAnswer(_ answer: SQL, key: String, endpoint: String, body: JSONValue?, of turn: Turn) throws {
        let content: [UInt8] = body.map { [0] + Array("application/json".utf8) + [0] + $0.bytes } ?? [0, 0]
        try database.execute(
            """
            insert into idempotency_keys (user_id, key, endpoint, body_hash, answer)
            select t.user_id, \(key), \(endpoint), \(Sodium.sha256(content).hex), \(answer) from turns t
            where t.question = \(turn.question)::uuid
            """)
    }
}
