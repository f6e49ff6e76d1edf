import Common
import Foundation
import TestSupport
import Testing

/// Every statement reaches its rows by an index, whatever is in the tables: Postgres logs the plan of each, those inside functions
/// included, while all endpoints are called and a worker works.
///
/// Our connections plan as if tables were long (`Database.planning`), so one that is read whole is one that no index serves.
@Suite(.threads)
struct QueryPlansTests {
    let postgres: Postgres
    let backend: Backend

    init() throws {
        postgres = try Postgres()
        try postgres.migrateTemplate()
        let admin = Database(postgres.url())
        for setting in [
            "session_preload_libraries = auto_explain", "auto_explain.log_min_duration = 0",
            "auto_explain.log_nested_statements = on", "auto_explain.log_format = json",
        ] {
            try admin.script("load 'auto_explain'")
            try admin.script("alter system set \(setting)")
        }
        try admin.script("select pg_reload_conf()")
        backend = try Backend(
            ["OTP_RESEND_SECONDS": "0", "TITLES": "on", "CONTEXT_TOKENS": "100"], database: postgres.createDatabase())
    }

    /// Those that ask Postgres nothing.
    static let silent = ["health", "jwks"]
    /// Tables of a few rows: one for each worker, model, key of Gemini's, day, generation of jobs.
    static let small = ["workers", "model_times", "upstream_holds", "otp_days", "migrations", "job_generations"]
    /// Those of which the worker deletes whatever it meets first: what it has to leave is of this minute.
    static let passing = ["unowned_events", "deltas", "request_rates"]
    @Test
    func `Every statement of every endpoint is served by an index`() throws {
        let mobile = Backend.mobile()
        let account: JSONValue = ["mobile": .string(mobile), "password": "correct horse"]
        #expect(try backend.call("signup", body: account).status == 201)
        let person = try backend.signIn(mobile: mobile, password: "correct horse")
        let rooms = try (0..<3).map { try backend.room(person, ["title": .string("Room \($0)")]) }
        let reply = try backend.post("Hello", rooms[0], person)
        let database = backend.database.connect()
        try database.execute("with job as (delete from jobs) update messages set status = 'done', content = 'Hi'")
        try database.execute("select fill_search(10)")
        try database.execute("insert into workers (id, host, pid) values (gen_random_uuid(), 'host', 1)")
        let question = try #require(try database.row(String.self, "select id from messages where role = 'user'"))
        _ = try backend.call("delete-chatroom", room: rooms[2], token: person.token)
        let file = try backend.call("upload-attachment", token: person.token, raw: Files.png, type: "image/png")
        let path = ["ATTACHMENT_ID": try #require(file.json["id"].text), "SHARE_ID": reply]
        func otp(_ endpoint: String) throws -> JSONValue {
            try backend.call(endpoint, body: ["mobile": .string(mobile)]).json["otp"]
        }

        // What needs more than what most do.
        let special: [String: () throws -> Answer] = [
            "signup": { try backend.call("signup", body: ["mobile": .string(Backend.mobile())]) },
            "send-otp": { try backend.call("send-otp", body: ["mobile": .string(mobile)]) },
            "verify-otp": {
                try backend.call("verify-otp", body: ["mobile": .string(mobile), "otp": otp("send-otp")])
            },
            "login": { try backend.call("login", body: account) },
            "refresh": { try backend.call("refresh", body: ["refresh_token": .string(person.refreshToken)]) },
            "forgot-password": { try backend.call("forgot-password", body: ["mobile": .string(mobile)]) },
            "reset-password": {
                let body: JSONValue = [
                    "mobile": .string(mobile), "otp": try otp("forgot-password"), "new_password": "correct horse",
                ]
                return try backend.call("reset-password", body: body)
            },
            "restore-chatroom": { try backend.call("restore-chatroom", room: rooms[2], token: person.token) },
            "purge-chatroom": {
                _ = try backend.call("delete-chatroom", room: rooms[2], token: person.token)
                return try backend.call("purge-chatroom", room: rooms[2], token: person.token)
            },
            "delete-chatroom": { try backend.call("delete-chatroom", room: rooms[1], token: person.token) },
            "search-messages": { try backend.call("search-messages", token: person.token, query: "q=hello") },
            "upload-attachment": {
                try backend.call("upload-attachment", token: person.token, raw: Files.png, type: "image/png")
            },
            "edit-message": {
                try backend.call(
                    "edit-message", room: rooms[0], message: question, token: person.token, body: ["content": "x"],
                    headers: ["Idempotency-Key": "edit"])
            },
        ]
        // What ends something, after all else.
        let last = [
            "purge-chatroom", "delete-chatroom", "revoke-session", "revoke-other-sessions", "reset-password", "logout",
            "delete-me",
        ]
        let body: JSONValue = [
            "content": "x", "title": "x", "current_password": "correct horse", "new_password": "correct horse",
            "password": "correct horse",
        ]

        let folders = try FileManager.default.contentsOfDirectory(atPath: "\(projectFolder)/Sources/handlers")
            .filter { !$0.contains(".") }.sorted()
        var asked: [String] = []
        for name in folders.filter({ !last.contains($0) && !$0.hasPrefix(".") }) + last {
            var place = postgres.log.utf8.count
            var token = person.token
            if last.contains(name) {
                token = try backend.call("login", body: account).json["token"].text ?? ""
                place = postgres.log.utf8.count
            }
            let general = {
                try backend.call(
                    name, room: rooms[0], message: reply, session: reply, token: token, path: path, body: body,
                    headers: ["Idempotency-Key": name])
            }
            let answer = try (special[name] ?? general)()
            #expect(answer.status != 500, "\(name): \(answer.text)")
            let plans = try plans(since: place)
            if !plans.isEmpty { asked.append(name) }
            // One that refuses such a request has to be given another, above.
            #expect(!plans.isEmpty || Self.silent.contains(name) || answer.status >= 400, "\(name)")
            for plan in plans { try expectServed(plan, name) }
        }
        #expect(asked.count >= 40, "\(asked)")
    }

    @Test
    func `Every statement of the worker is served by an index`() throws {
        let place = postgres.log.utf8.count
        let person = try backend.signIn()
        let room = try backend.call("create-chatroom", token: person.token, body: ["retention_days": 3])
        let id = try #require(room.json["id"].text)
        _ = try backend.call("update-chatroom", room: id, token: person.token, body: ["retention_days": 3])
        let worker = try backend.worker(seconds: 600)
        for number in 0..<3 {
            _ = try backend.reply(
                backend.post("\(number) " + String(repeating: "word ", count: 60), id, person), id, person)
        }
        let cancelled = try backend.post("[sandbox:chunks n=100 ms=200]", id, person)
        try eventually("some text") {
            try backend.call("get-message", room: id, message: cancelled, token: person.token).json["content"] != ""
        }
        _ = try backend.call("cancel-reply", room: id, message: cancelled, token: person.token)
        let failed = try backend.post("[sandbox:error code=503 times=1]", id, person)
        _ = try backend.reply(failed, id, person)
        let database = backend.database.connect()
        try eventually("the end of all chores") {
            try database.row(Int.self, "select (select count(*) from jobs) + (select count(*) from search_queue)") == 0
        }
        _ = try backend.call("delete-chatroom", room: id, token: person.token)
        try database.execute("update chatrooms set deleted_at = now() - interval '60 days'")
        try eventually("the purge") { try database.row(Int.self, "select count(*) from chatrooms") == 0 }
        worker.terminate()
        try worker.wait()
        let plans = try plans(since: place)
        // Its own, for what this test asks is another matter.
        let own = plans.filter {
            !($0["Query Text"].text ?? "").hasPrefix("select (select count")
                && !($0["Query Text"].text ?? "").hasPrefix("select count")
                && !($0["Query Text"].text ?? "").hasPrefix("update chatrooms set deleted_at = now()")
        }
        for text in [
            "with recursive owner", "delete from jobs", "insert into deltas", "insert into summaries",
            "insert into search_entries", "select sweep_messages", "delete from branches", "delete from otps",
            "update messages m set status = 'queued'",
        ] {
            #expect(own.contains { ($0["Query Text"].text ?? "").contains(text) }, "\(text)")
        }
        for plan in own { try expectServed(plan, "worker") }
    }

    // MARK: Plans

    /// What was logged after this byte of the log.
    private func plans(since place: Int) throws -> [JSONValue] {
        let text = String(decoding: postgres.log.utf8.dropFirst(place), as: UTF8.self)
        return try text.components(separatedBy: " plan:\n").dropFirst().map { entry in
            let lines = entry.split(separator: "\n", omittingEmptySubsequences: false).prefix { $0.hasPrefix("\t") }
            return try #require(
                JSONValue(lines.map { $0.dropFirst() }.joined(separator: "\n").utf8), "\(entry.prefix(500))")
        }
    }

    private func expectServed(_ plan: JSONValue, _ who: String) throws {
        let partial = try Set(
            backend.database.connect().rows(
                String.self, "select indexrelid::regclass::text from pg_index where indpred is not null"))
        for node in nodes(plan["Plan"]) {
            let (type, index) = (node["Node Type"].text ?? "", node["Index Name"].text ?? "")
            let table = node["Relation Name"].text ?? String(index.split(separator: "_pkey").first ?? "")
            // An index without a condition is read whole, but for one that is of a part only.
            let isWhole =
                type.contains("Index") && type.hasSuffix("Scan") && node["Index Cond"] == .missing
                && !partial.contains(index)
            guard type == "Seq Scan" || isWhole else { continue }
            let text = (plan["Query Text"].text ?? "").prefix(600)
            #expect((Self.small + Self.passing).contains(table), "\(who): \(type) of \(table) \(index) in \(text)")
        }
    }

    private func nodes(_ node: JSONValue) -> [JSONValue] { [node] + node["Plans"].list.flatMap(nodes) }
}
