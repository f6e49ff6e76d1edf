import Common
import Foundation
import TestSupport
import Testing

/// Codes on their way to a phone.
@Suite(.threads)
struct DeliveriesTests {
    /// Who sends codes: each of them is tried with the same numbers, whose last digits say what becomes of a message.
    static let carriers = ["twilio", "webhook"]

    /// A backend whose worker sends codes through the sandbox.
    private struct Post {
        let backend: Backend
        let sandbox: Sandbox
        let database: Database
        private let folder: Folder

        init(_ carrier: String, processes: Int = 1, _ more: [String: String] = [:]) throws {
            folder = try Folder()
            sandbox = try Sandbox("sandbox-sms", folder: folder)
            backend = try Backend(
                [
                    "OTP_DELIVERY": carrier, "TWILIO_ACCOUNT_SID": "ACsandbox", "TWILIO_AUTH_TOKEN": "sandbox-token",
                    "TWILIO_FROM": "+15005550006", "TWILIO_BASE_URL": sandbox.url,
                    "OTP_WEBHOOK_URL": "\(sandbox.url)/webhook", "OTP_WEBHOOK_SECRET": "sandbox-secret",
                ].merging(more) { $1 }, processes: processes)
            database = backend.database.connect()
        }

        func call(_ endpoint: String, _ mobile: String, _ more: [String: JSONValue] = [:]) throws -> Answer {
            try backend.call(endpoint, body: .object(["mobile": .string(mobile)].merging(more) { $1 }))
        }

        /// Signs a number up and asks for a code.
        func ask(_ mobile: String) throws {
            #expect(try call("signup", mobile).status == 201)
            #expect(try call("send-otp", mobile).status == 200)
        }

        /// What the sandbox was sent for a number.
        func messages(to mobile: String) throws -> [JSONValue] {
            try sandbox.http("GET", "/sandbox/messages").list.filter { $0["to"].text == mobile }
        }

        func jobs() throws -> Int { try database.row(Int.self, "select count(*) from jobs") ?? -1 }
    }

    private func code(in message: JSONValue) -> String {
        (message["text"].text ?? "").firstMatch(of: /^[0-9]{6}/).map { String($0.output) } ?? ""
    }

    @Test(arguments: carriers)
    func `The code comes by message and not in the answer, and signs in; so does one for a reset`(carrier: String)
        throws
    {
        let post = try Post(carrier)
        let worker = try post.backend.worker()
        #expect(try post.call("signup", "+919876543210").status == 201)
        #expect(try post.call("send-otp", "+919876543210").text == #"{"expires_in":300,"resend_in":60}"#)
        try eventually("the message") { try post.messages(to: "+919876543210").count == 1 }
        let message = try post.messages(to: "+919876543210")[0]
        #expect(message["via"].text == carrier)
        #expect(message["text"].text?.contains("to sign in") == true)
        if carrier == "twilio" {
            #expect(message["sender"] == "+15005550006")
            #expect(message["validity"].text.flatMap { Int($0) }.map { (280...300).contains($0) } == true)
        } else {
            #expect(message["code"].text == code(in: message))
            #expect(message["expires_at"].text?.hasPrefix("20") == true && message["id"].text?.count == 36)
        }
        let answer = try post.call("verify-otp", "+919876543210", ["otp": .string(code(in: message))])
        #expect(answer.status == 200, "\(answer.text)")
        try post.database.execute("delete from otp_sends")
        #expect(try post.call("forgot-password", "+919876543210").status == 200)
        try eventually("the second message") { try post.messages(to: "+919876543210").count == 2 }
        let second = try post.messages(to: "+919876543210")[1]
        #expect(second["text"].text?.contains("to set a new password") == true)
        let reset = try post.call(
            "reset-password", "+919876543210", ["otp": .string(code(in: second)), "new_password": "correct horse"])
        #expect(reset.status == 204, "\(reset.text)")
        try eventually("no job") { try post.jobs() == 0 }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Where codes go to the log, the worker writes them there, and only those that somebody waits for`() throws {
        let post = try Post("log")
        let worker = try post.backend.worker()
        #expect(try post.call("send-otp", "+910000000001").json.names == ["expires_in", "resend_in"])
        try post.ask("+919876543210")
        try eventually("the code") { worker.error.contains(/"mobile":"\+919876543210","code":"[0-9]{6}"/) }
        #expect(!worker.error.contains("+910000000001"))
        #expect(try !post.backend.endpoint("send-otp").processes[0].error.contains(/"code":"[0-9]{6}"/))
    }

    @Test(arguments: carriers)
    func `A number without an account is sent nothing`(carrier: String) throws {
        let post = try Post(carrier)
        for endpoint in ["send-otp", "forgot-password"] {
            try post.database.execute("delete from otp_sends")
            #expect(try post.call(endpoint, "+910000000001").status == 200)
        }
        #expect(try post.jobs() == 2)
        let worker = try post.backend.worker()
        try eventually("no job") { try post.jobs() == 0 }
        // One that came later has arrived, so that the ones before it would have.
        try post.ask("+919876543210")
        try eventually("the message") { try post.messages(to: "+919876543210").count == 1 }
        #expect(try post.messages(to: "+910000000001").isEmpty)
        #expect(!worker.error.contains("not sent"))
    }

    @Test
    func `A code that is over, used or followed by another is not sent`() throws {
        let post = try Post("twilio", ["OTP_RESEND_SECONDS": "0"])
        let mobiles = (1...3).map { "+91987654321\($0)" }
        for mobile in mobiles { try post.ask(mobile) }
        try post.database.execute(
            "update otps set expires_at = now() - interval '1 second' where mobile = \(mobiles[0])")
        // The job says the same.
        try post.database.execute(
            """
            update jobs set payload = payload || jsonb_build_object('expires_at', o.expires_at) from otps o
            where o.mobile = payload ->> 'mobile' and o.mobile = \(mobiles[0])
            """)
        try post.database.execute("update otps set expires_at = '-infinity' where mobile = \(mobiles[1])")
        #expect(try post.call("send-otp", mobiles[2]).status == 200)
        #expect(try post.jobs() == 4)
        let worker = try post.backend.worker()
        try eventually("no job") { try post.jobs() == 0 }
        #expect(try mobiles.map { try post.messages(to: $0).count } == [0, 0, 1])
        let last = try post.messages(to: mobiles[2])[0]
        #expect(try post.call("verify-otp", mobiles[2], ["otp": .string(code(in: last))]).status == 200)
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: carriers)
    func `What was refused is not sent again, and its reason is logged without the number`(carrier: String) throws {
        let post = try Post(carrier)
        let worker = try post.backend.worker()
        let refused = ["+15005550001", "+15005550003", "+15005550004", "+15005550009"]
        for mobile in refused { try post.ask(mobile) }
        try eventually("no job") { try post.jobs() == 0 }
        #expect(try refused.map { try post.messages(to: $0).count } == [1, 1, 1, 1])
        for code in [21211, 21408, 21610, 21614] { #expect(worker.error.contains("HTTP 400, code \(code)")) }
        #expect(!worker.error.contains("+1500555"))
    }

    @Test(arguments: carriers)
    func `What may have been sent is sent once more and no oftener`(carrier: String) throws {
        let post = try Post(carrier)
        let worker = try post.backend.worker()
        for mobile in ["+15005550040", "+15005550050"] { try post.ask(mobile) }
        try eventually("no job") { try post.jobs() == 0 }
        #expect(try post.messages(to: "+15005550040").count == 2)
        #expect(try post.messages(to: "+15005550050").count == 2)
        #expect(worker.error.split(separator: "\n").count { $0.contains("one-time password not sent") } == 2)
    }

    @Test(arguments: carriers)
    func `What was certainly not sent is sent again until the code is over`(carrier: String) throws {
        let post = try Post(carrier)
        let worker = try post.backend.worker()
        for mobile in ["+15005550129", "+15005550029"] { try post.ask(mobile) }
        try eventually("the third try") { try post.messages(to: "+15005550129").count == 3 }
        try eventually("more than two tries") { try post.messages(to: "+15005550029").count > 2 }
        try post.database.execute("update otps set expires_at = now()")
        try eventually("no job") { try post.jobs() == 0 }
        #expect(try post.messages(to: "+15005550129").count == 3)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `While nobody takes messages they wait, and no try is counted`() throws {
        let post = try Post("twilio", ["TWILIO_BASE_URL": "http://127.0.0.1:1"])
        let worker = try post.backend.worker()
        try post.ask("+919876543210")
        for _ in 0..<2 {
            var seen = ""
            try eventually("a try") {
                seen = try post.database.row(String.self, "select concat_ws(' ', state, attempts) from jobs") ?? ""
                return seen.hasPrefix("waiting")
            }
            #expect(seen == "waiting 0")
            try post.database.execute("update jobs set state = 'ready', run_at = now() where state = 'waiting'")
        }
        #expect(try post.jobs() == 1)
        #expect(worker.isRunning)
    }

    @Test
    func `A worker that dies while it sends is followed by one that sends once more, and no third does`() throws {
        let post = try Post("twilio", ["LEASE_SECONDS": "2"])
        try post.ask("+919876543210")
        try post.database.execute(
            "update jobs set state = 'running', attempts = 1, worker = gen_random_uuid(), leased_until = now()")
        let worker = try post.backend.worker()
        try eventually("the message") { try post.messages(to: "+919876543210").count == 1 }
        try post.ask("+919876543211")
        try eventually("no job") { try post.jobs() == 0 }
        worker.kill()
        try post.ask("+919876543212")
        try post.database.execute(
            "update jobs set state = 'running', attempts = 2, worker = gen_random_uuid(), leased_until = now()")
        let next = try post.backend.worker()
        try eventually("no job") { try post.jobs() == 0 }
        #expect(try post.messages(to: "+919876543212").isEmpty)
        #expect(next.error.contains("nobody knows whether it was sent"))
    }

    @Test
    func `A webhook's signature under another secret is refused, and Twilio's wrong token`() throws {
        for (carrier, setting) in [("webhook", "OTP_WEBHOOK_SECRET"), ("twilio", "TWILIO_AUTH_TOKEN")] {
            let post = try Post(carrier, [setting: "another"])
            let worker = try post.backend.worker()
            try post.ask("+919876543210")
            try eventually("no job") { try post.jobs() == 0 }
            #expect(try post.messages(to: "+919876543210").isEmpty)
            #expect(worker.error.contains("HTTP 401"))
        }
    }

    @Test
    func `Of codes for which no worker was set up nothing is left`() throws {
        let post = try Post("twilio")
        try post.ask("+919876543210")
        try post.database.execute(
            "update jobs set payload = payload || jsonb_build_object('expires_at', now() - interval '1 second')")
        #expect(try post.backend.worker(seconds: 0, ["OTP_DELIVERY": "response"]).wait() == .code(0))
        #expect(try post.jobs() == 0)
    }

    @Test
    func `In production codes are not in answers: neither handlers nor the worker start`() throws {
        for settings in [["OTP_DELIVERY": "response"], ["OTP_DELIVERY": ""]] {
            let backend = try Backend(settings.merging(["ENVIRONMENT": "production"]) { $1 })
            for process in [try backend.endpoint("send-otp").processes[0], try backend.worker()] {
                #expect(try process.wait() == .code(78))
                #expect(process.error.contains("OTP_DELIVERY must be set"))
            }
        }
        let backend = try Backend(["ENVIRONMENT": "production", "OTP_DELIVERY": "log"])
        #expect(try backend.call("send-otp", body: ["mobile": "+919876543210"]).status == 200)
    }

    @Test(arguments: [
        ("twilio", "TWILIO_ACCOUNT_SID"), ("twilio", "TWILIO_AUTH_TOKEN"), ("twilio", "TWILIO_FROM"),
        ("webhook", "OTP_WEBHOOK_URL"), ("webhook", "OTP_WEBHOOK_SECRET"), ("log", "TOKEN_KEYS"),
    ])
    func `A worker that lacks a setting ends with one line that names it`(carrier: String, setting: String) throws {
        let post = try Post(carrier)
        let worker = try post.backend.worker(["OTP_DELIVERY": carrier, setting: ""])
        #expect(try worker.wait() == .code(78))
        #expect(worker.error.contains("\(setting) is not set"))
    }

    @Test(arguments: carriers)
    func `No code, password, token or key is in a log, in Postgres or in an answer of an error`(carrier: String) throws
    {
        let post = try Post(carrier)
        // In Postgres while it waits, too.
        try post.ask("+919876543210")
        let waiting = try everything(post.database)
        let worker = try post.backend.worker()
        try eventually("the message") { try post.messages(to: "+919876543210").count == 1 }
        let code = code(in: try post.messages(to: "+919876543210")[0])
        let wrong: JSONValue = .string(code == "000000" ? "000001" : "000000")
        var answers = [try post.call("verify-otp", "+919876543210", ["otp": wrong, "password": "secret horse 1"])]
        let signedIn = try post.call(
            "verify-otp", "+919876543210", ["otp": .string(code), "password": "secret horse 1"])
        let token = try #require(signedIn.json["token"].text)
        let refresh = try #require(signedIn.json["refresh_token"].text?.split(separator: ".").last.map(String.init))
        answers += [
            try post.backend.call(
                "change-password", token: token,
                body: ["current_password": "secret horse 2", "new_password": "secret horse 3"]),
            try post.call("reset-password", "+919876543210", ["otp": .string(code), "new_password": "secret horse 4"]),
            try post.call("send-otp", "+919876543210"),
            try post.call("verify-otp", "+919876543210", ["otp": .string(code), "password": "short"]),
        ]
        #expect(answers.map(\.status) == [401, 401, 401, 429, 422])
        #expect(
            try post.backend.call(
                "change-password", token: token,
                body: ["current_password": "secret horse 1", "new_password": "secret horse 3"]
            ).status == 204)
        try eventually("no job") { try post.jobs() == 0 }

        var places = answers.map(\.text) + [waiting, try everything(post.database), worker.error, worker.output]
        for endpoint in ["signup", "send-otp", "verify-otp", "change-password", "reset-password"] {
            places += try post.backend.endpoint(endpoint).processes.map { $0.error + $0.output }
        }
        #expect(waiting.contains("sealed") && worker.error.contains("worker started"))
        let keys = (post.backend.settings["TOKEN_KEYS"] ?? "").split(separator: ",").map {
            String($0.split(separator: ":")[1])
        }
        for place in places {
            // As a word: within an id or a hash any six digits may stand by chance.
            #expect(!place.split { !$0.isLetter && !$0.isNumber }.contains(Substring(code)))
            for secret in ["secret horse", token, refresh, "sandbox-token", "sandbox-secret"] + keys {
                #expect(!place.contains(secret))
            }
        }
    }

    /// All rows of all tables, as text, without the fractions of their seconds, which have six digits too.
    private func everything(_ database: Database) throws -> String {
        let tables = try database.rows(
            String.self, "select quote_ident(tablename) from pg_tables where schemaname = 'public' order by 1")
        #expect(tables.count > 15)
        return try tables.map { table in
            try database.row(
                String.self, SQL(made: "select coalesce(string_agg(t::text, ' '), '') from \(table) t")) ?? ""
        }.joined(separator: "\n").replacing(/(:[0-9]{2})\.[0-9]+/) { $0.output.1 }
    }
}
