import Common
import Foundation
import TestSupport
import Testing

/// A database of the release before, what is put into it by hand, and the present release on it.
struct Upgrade {
    let before: OlderRelease
    let backend: Backend
    let database: Database
    private let folder: Folder
    private let stripe: Sandbox
    let sms: Sandbox
    let turns: [OlderRelease.Turn]
    var asha: OlderRelease.Person { before.people[0] }
    let customers: [(person: OlderRelease.Person, id: String, state: String)]
    static let (forgetful, busy) = ("+919812000004", "+919812000005")

    init(_ before: OlderRelease) throws {
        self.before = before
        folder = try Folder()
        database = before.test.connect(timeout: 60_000)
        let stripe = try Sandbox("sandbox-stripe", folder: folder)
        self.stripe = stripe
        sms = try Sandbox("sandbox-sms", folder: folder)
        customers = try [(20, "ready"), (21, "waiting"), (22, "running")].map { number, state in
            let customer = try Upgrade.buyPro(at: stripe)
            return (before.people[number], customer, state)
        }
        turns = try before.turns(of: before.people[0])
        backend = try Backend(
            [
                "TOKEN_KEYS": OlderRelease.roots, "STRIPE_SECRET_KEY": Shop.key, "STRIPE_PRICE_ID": "price_sandbox_pro",
                "STRIPE_BASE_URL": stripe.url, "OTP_DELIVERY": "twilio", "TWILIO_ACCOUNT_SID": "ACsandbox",
                "TWILIO_AUTH_TOKEN": "sandbox-token", "TWILIO_FROM": "+15005550006", "TWILIO_BASE_URL": sms.url,
            ], database: before.test, programKeys: try Upgrade.keys(folder))
        try before.queueCodes()
        try before.queueStripe(customers)
        try before.sendCode("123456", to: asha.mobile, after: "654321")
        try before.sendCode("222222", to: before.people[1].mobile, "reset")
        try before.keepLimits(of: Upgrade.forgetful, messages: 0)
        try before.keepLimits(of: Upgrade.busy, messages: 3)
        try before.database.execute("insert into users (mobile) values (\(Upgrade.busy))")
        try before.sendCode("333333", to: Upgrade.busy)
        try keepAnswers()
    }

    /// What the next start hands out, from the root keys of the release before.
    private static func keys(_ folder: Folder) throws -> [String: String] {
        let process = try Executable(
            "cron-worker", ["--keys", "--old-tokens"], environment: ["TOKEN_KEYS": OlderRelease.roots],
            folder: folder.path)
        guard try process.wait() == .code(0) else { throw Executable.Failure("--keys: \(process.error)") }
        let lines = process.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        return Dictionary(uniqueKeysWithValues: lines.map { ($0[0], $0[1]) })
    }

    /// A new customer at Stripe who has a subscription; their id.
    private static func buyPro(at stripe: Sandbox) throws -> String {
        func post(_ path: String, _ form: String) throws -> JSONValue {
            try stripe.http(
                "POST", path, headers: [("Authorization", "Bearer \(Shop.key)")], body: Array(form.utf8))
        }
        let customer = try #require(try post("/v1/customers", "name=Asha")["id"].text)
        _ = try post("/v1/subscriptions", "customer=\(customer)&items%5B0%5D%5Bprice%5D=price_sandbox_pro")
        return customer
    }

    func turn(_ room: Int, _ turn: Int) throws -> OlderRelease.Turn {
        try #require(turns.first { $0.number == room && $0.turn == turn })
    }

    /// What the release before kept for three requests: a message that was sent, another reply, and a new room.
    private func keepAnswers() throws {
        let sent = try turn(8, 9)
        try before.keepAnswer(
            """
            json_build_object('user_id', t.user_id, 'nth', 1, 'question', t.question, 'reply', t.reply,
                'at', to_json(t.at)::text, 'replied_at', to_json(t.at + interval '1 millisecond')::text)
            """, key: "sent", endpoint: "send-message \(sent.room)", body: ["content": .string(sent.asked)], of: sent)
        try before.keepAnswer(
            """
            json_build_object('user_id', t.user_id, 'role', 'model', 'status', 'done', 'is_cut_off', false, 'content', '',
                'question', json_build_object('id', t.question, 'content', t.asked)::text, 'reply', t.reply,
                'at', to_json(t.at)::text, 'siblings', '{"count":2,"number":2}')
            """, key: "again", endpoint: "regenerate-reply \(sent.room) \(sent.reply)", body: nil, of: sent)
        try before.keepAnswer(
            "to_json(json_build_object('id', t.room, 'title', 'Room 8')::text)", key: "room",
            endpoint: "create-chatroom", body: ["title": "Room 8"], of: sent)
    }

    // MARK: Rows

    /// Migrates by two at once, and again. Until handlers and workers come, each row is what it was.
    func keepsEveryRow() throws {
        let contents = try Contents(database)
        #expect(contents.columns.count == 36, "\(contents.columns.keys.sorted())")
        try contents.noticeEverything(in: database)
        let rows = try contents.digests(in: database)
        #expect(rows["messages"]?.hasPrefix("50550 ") == true, "\(rows["messages"] ?? "")")
        let migrations = try database.rows(String.self, "select m::text from migrations m order by name")

        let starters = try (0..<2).map { _ in try migrate() }
        for starter in starters { #expect(try starter.wait() == .code(0), "\(starter.error)") }
        #expect(starters.contains { $0.output.contains("applied") && $0.output.contains("calls") })
        #expect(try contents.digests(in: database) == rows)
        let all = try database.rows(String.self, "select m::text from migrations m order by name")
        #expect(Set(migrations).isSubset(of: all))

        let made = try catalogue()
        let again = try migrate()
        #expect(try again.wait() == .code(0))
        #expect(again.output == "schema is up to date\n")
        #expect(try catalogue() == made)
        #expect(try contents.digests(in: database) == rows)
    }

    private func migrate() throws -> Executable {
        try Executable(
            "cron-worker", ["--migrate"], environment: ["DATABASE_URL": before.test.url], folder: folder.path)
    }

    /// All that migrating makes: functions, and which transaction made them; tables, types, roles, and who has which rights.
    private func catalogue() throws -> [String] {
        try database.rows(
            String.self,
            """
            with mine as (select oid, nspname, nspowner, nspacl from pg_namespace where nspname in ('public', 'api'))
            select concat_ws(' ', 'function', p.oid::regprocedure, p.xmin, p.proowner::regrole, p.proacl)
            from pg_proc p join mine n on n.oid = p.pronamespace
            union all select concat_ws(' ', c.relkind, c.oid::regclass, c.relowner::regrole, c.relacl)
            from pg_class c join mine n on n.oid = c.relnamespace
            union all select concat_ws(' ', 'type', t.oid::regtype, t.typowner::regrole, t.typacl)
            from pg_type t join mine n on n.oid = t.typnamespace
            union all select concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl) from mine
            union all select concat_ws(' ', 'database', datdba::regrole, datacl)
            from pg_database where datname = current_database()
            union all select concat_ws(' ', 'role', rolname, rolcanlogin, rolsuper, rolinherit, rolcreaterole)
            from pg_roles
            union all select f::text from functions f union all select m::text from migrations m
            order by 1
            """)
    }
}
