import Common
import Foundation
import TestSupport
import Testing

/// What opens an account is in nothing that is kept or told: neither logs, nor the database, nor the answers to what is wrong.
@Suite(.threads)
struct SecretsTests {
    @Test
    func `Passwords, codes, tokens and keys are in no log, no row and no error`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        let worker = try backend.worker()
        var processes = ["cron-worker": worker]
        var secrets: [(name: String, text: String)] = []
        var errors: [(name: String, text: String)] = []
        func call(_ name: String, room: String? = nil, token: String? = nil, body: JSONValue? = nil) throws -> Answer {
            let answer = try backend.call(name, room: room, token: token, body: body)
            processes[name] = try backend.endpoint(name).processes[0]
            if answer.status >= 400 { errors.append((name, answer.text)) }
            return answer
        }
        func secret(_ name: String, _ value: JSONValue) throws -> String {
            let text = try #require(value.text, "\(name)")
            secrets.append((name, text))
            return text
        }
        func person() throws -> (mobile: JSONValue, password: String, token: String) {
            let mobile = JSONValue.string(Backend.mobile())
            let password = try secret("password", .string("p%/\(UUID().uuidString)"))
            _ = try call("signup", body: ["mobile": mobile, "password": .string(password)])
            let code = try secret("code", call("send-otp", body: ["mobile": mobile]).json["otp"])
            let wrong = code == "000000" ? "000001" : "000000"
            #expect(try call("verify-otp", body: ["mobile": mobile, "otp": .string(wrong)]).status == 401)
            let answer = try call(
                "verify-otp", body: ["mobile": mobile, "otp": .string(code), "password": .string(password)])
            let refresh = try secret("refresh token", answer.json["refresh_token"])
            secrets.append(("refresh token's secret", String(refresh.split(separator: ".")[3])))
            let token = try secret("access token", answer.json["token"])
            secrets.append(("access token's signature", String(token.split(separator: ".")[2])))
            return (mobile, password, token)
        }
        for (name, key) in [("key", Backend.key), ("older key", Backend.olderKey)] {
            secrets.append((name, String(decoding: key, as: UTF8.self)))
            secrets.append((name, Data(key).base64EncodedString()))
            secrets.append((name, key.hex))
        }
        secrets.append(("key of Gemini", "sandbox-key"))

        // Somebody's whole stay, what is right and what is wrong.
        let (mine, theirs) = (try person(), try person())
        let room = try #require(
            try call("create-chatroom", token: mine.token, body: ["title": "Travel"]).json["id"].text)
        let replies = try ["Hello", "[sandbox:bad-key]"].map { content in
            try #require(
                try call("send-message", room: room, token: mine.token, body: ["content": .string(content)])
                    .json["reply"]["id"].text)
        }
        try eventually("the replies") {
            try backend.database.connect().row(Int.self, "select count(*) from jobs") == 0
        }
        #expect(replies.count == 2)
        #expect(try call("list-messages", room: room, token: mine.token).status == 200)
        #expect(try call("list-messages", room: room, token: theirs.token).status == 404)
        #expect(try call("get-me", token: mine.token + "x").status == 401)
        for password in [mine.password + "x", theirs.password] {
            #expect(try call("delete-me", token: mine.token, body: ["password": .string(password)]).status == 401)
        }
        let signup: JSONValue = ["mobile": mine.mobile, "password": .string(mine.password)]
        #expect(try call("signup", body: signup).status == 409)
        #expect(try call("update-me", token: mine.token, body: ["timezone": .string(mine.password)]).status == 422)
        let long = String(repeating: mine.password, count: 10)
        #expect(try call("delete-me", token: mine.token, body: ["password": .string(long)]).status == 422)
        let export = try call("export-me", token: mine.token)
        #expect(export.status == 200)
        #expect(try call("delete-me", token: theirs.token, body: ["password": .string(theirs.password)]).status == 204)
        // Postgres away, in the middle of it.
        let away = try Backend(["DATABASE_URL": "host=/nowhere"], database: backend.database)
        let code = try #require(secrets.first { $0.name == "code" }).text
        for name in ["signup", "verify-otp"] {
            let answer = try away.call(
                name,
                body: ["mobile": mine.mobile, "password": .string(mine.password), "otp": .string(code)])
            errors.append((name, answer.text))
            #expect(answer.status == 503)
            processes["\(name) without Postgres"] = try away.endpoint(name).processes[0]
        }
        worker.terminate()
        try worker.wait()

        #expect(errors.count >= 11 && secrets.count >= 19)
        let places =
            processes.map { ("the log of \($0)", $1.error) } + errors.map { ("an error of \($0.name)", $0.text) }
            + (try backend.database.dump()).map { ("the database", $0) }
            + [("the export", export.text), ("the log of Postgres", backend.database.postgres.log)]
        #expect(processes.values.allSatisfy { $0.error.contains("\"message\"") }, "every log was looked into")
        #expect(places.contains { $0.1.hasPrefix("users ") } && places.contains { $0.1.hasPrefix("messages ") })
        for (name, secret) in secrets {
            for (place, text) in places {
                #expect(!reveals(text, secret), "\(name) is in \(place): \(text.prefix(500))")
            }
        }
    }

    @Test
    func `Stripe's key and the webhook's secrets are in no log, no row and no answer, whatever goes wrong`() throws {
        let shop = try Shop(["LOG_LEVEL": "info"])
        let worker = try shop.backend.worker()
        let person = try shop.backend.signIn()
        try shop.buy(person)
        try eventually("Pro") { try shop.tier(person) == "pro" }
        var texts = [(String, String)]()
        let names = [
            "subscribe-pro", "subscription-portal", "cancel-subscription", "resume-subscription",
            "refresh-subscription",
            "list-invoices", "subscription-status", "explain-subscription", "stripe-webhook",
        ]
        for kind in ["", "error", "busy", "down", "lost"] {
            if !kind.isEmpty { try shop.control("faults", ["kind": kind, "times": "3"]) }
            for name in names {
                let answer = try shop.backend.call(
                    name, token: person.token, raw: Array("{}".utf8), headers: ["Stripe-Signature": "t=1,v1=0"])
                texts.append(("an answer of \(name)", answer.text))
            }
            try shop.control("faults", method: "DELETE")
        }
        // With a key that Stripe does not know, too.
        let wrong = try Backend(
            shop.backend.settings.merging(["STRIPE_SECRET_KEY": "rk_test_\(Shop.key)"]) { $1 },
            database: shop.backend.database)
        expectProblem(try wrong.call("subscription-portal", token: person.token), 503, "stripe_unavailable")
        texts += try shop.backend.database.dump().map { ("a row", $0) }
        texts += try names.map { ("the log of \($0)", try shop.backend.endpoint($0).processes[0].error) }
        texts.append(("the log of a wrong key", try wrong.endpoint("subscription-portal").processes[0].error))
        texts += [("the log of the worker", worker.error), ("the log of Postgres", shop.backend.database.postgres.log)]
        #expect(texts.contains { $0.1.contains("Stripe did not do it") && $0.1.contains("HTTP 401") })
        for (place, text) in texts {
            for secret in [Shop.key, Shop.secret, "whsec_older"] {
                #expect(!text.contains(secret), "\(place): \(text.prefix(500))")
            }
        }
    }

    /// Whether the text has it; of six digits, by themselves and not as a part of a time, a number or an id.
    private func reveals(_ text: String, _ secret: String) -> Bool {
        guard secret.count == 6 else { return text.contains(secret) }
        return text.ranges(of: secret).contains { range in
            let before = range.lowerBound == text.startIndex ? " " : text[text.index(before: range.lowerBound)]
            let after = range.upperBound == text.endIndex ? " " : text[range.upperBound]
            return ![before, after].contains { $0.isLetter || $0.isNumber || "-.".contains($0) }
        }
    }

    @Test
    func `What is looked for would be found`() {
        #expect(
            reveals("{\"code\":\"123456\"}", "123456") && reveals("123456", "123456") && reveals("(a,123456)", "123456")
        )
        #expect(!reveals("10:12:13.123456+00", "123456") && !reveals("0123456f", "123456"))
    }
}
