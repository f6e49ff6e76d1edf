import Common
import Glibc
import SandboxHTTP
import Synchronization

/// Answers those who send messages. What becomes of one depends on its number, as with Twilio's magic ones:
///
///     +15005550001   400, 21211: not a number          +15005550003   400, 21408: no such region
///     +15005550004   400, 21610: opted out             +15005550009   400, 21614: no mobile
///     +15005550029   429, 20429                        +15005550129   429 twice, then 201
///     +15005550050   500                               +15005550040   taken, and the connection closes without an answer
final class SMSService: Sendable {
    /// A message that came, and the status with which it was answered, 0 without an answer.
    private struct Message: Encodable {
        let via: String
        let status: Int
        let to: String
        let text: String
        let code: String?
        let id: String?
        let sender: String?
        let validity: String?
        let expires_at: String?
    }

    private struct WebhookBody: Decodable {
        let id: String
        let mobile: String
        let text: String
        let code: String
        let expires_at: String
    }

    private struct TwilioError: Encodable {
        let code: Int
        let message: String
        let more_info: String
        let status: Int
    }

    private struct TwilioMessage: Encodable {
        let sid: String
        let status = "queued"
        let to: String
        let body: String
    }

    private let path: String
    private let authorization: String
    private let secret: [UInt8]
    private let messages = Mutex<[Message]>([])

    init(account: String, token: String, secret: String) {
        path = "/2010-04-01/Accounts/\(account)/Messages.json"
        authorization = "Basic " + Sodium.base64("\(account):\(token)".utf8)
        self.secret = Array(secret.utf8)
    }

    @Sendable func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) throws {
        switch (request.method, request.path) {
        case ("GET", "/sandbox/messages"): try answer(200, messages.withLock(\.self), exchange)
        case ("POST", path): try takeTwilio(request, exchange)
        case ("POST", "/webhook"): try takeWebhook(request, exchange)
        default: try refuse(404, 20404, "The requested resource was not found", exchange)
        }
    }

    private func takeTwilio(_ request: HTTPRequest, _ exchange: HTTPExchange) throws {
        guard request.headers["authorization"] == authorization else {
            return try refuse(401, 20003, "Authenticate", exchange)
        }
        guard let form = request.form, let to = form["To"] else {
            return try refuse(400, 21604, "A 'To' phone number is required.", exchange)
        }
        guard let sender = form["From"] ?? form["MessagingServiceSid"] else {
            return try refuse(400, 21603, "A 'From' phone number is required.", exchange)
        }
        guard let text = form["Body"], !text.isEmpty, text.count <= 1_600 else {
            return try refuse(400, 21602, "Message body is required.", exchange)
        }
        guard Int(form["ValidityPeriod"] ?? "36000").map((1...36_000).contains) == true else {
            return try refuse(400, 21620, "Invalid ValidityPeriod", exchange)
        }
        try play(exchange) { status in
            Message(
                via: "twilio", status: status, to: to, text: text, code: nil, id: nil, sender: sender,
                validity: form["ValidityPeriod"], expires_at: nil)
        }
    }

    private func takeWebhook(_ request: HTTPRequest, _ exchange: HTTPExchange) throws {
        guard isSigned(request) else { return try refuse(401, 0, "The signature is wrong.", exchange) }
        let body = try JSON.decode(WebhookBody.self, request.body)
        try play(exchange) { status in
            Message(
                via: "webhook", status: status, to: body.mobile, text: body.text, code: body.code, id: body.id,
                sender: nil, validity: nil, expires_at: body.expires_at)
        }
    }

    /// Whether the signature is right and not older than five minutes.
    private func isSigned(_ request: HTTPRequest) -> Bool {
        let parts = (request.headers["webhook-signature"] ?? "").split(separator: ",")
        guard parts.count == 2, parts[0].hasPrefix("t="), parts[1].hasPrefix("v1="),
            let seconds = Int(parts[0].dropFirst(2)), abs(Glibc.time(nil) - seconds) <= 300
        else { return false }
        return Sodium.hmac(Array("\(seconds).".utf8) + request.body, key: secret).hex == parts[1].dropFirst(3)
    }

    /// Keeps a message and answers as its number says.
    private func play(_ exchange: HTTPExchange, _ message: (Int) -> Message) throws {
        let kept = messages.withLock { messages in
            let earlier = messages.count { $0.to == message(0).to }
            let kept = message(status(of: message(0).to, after: earlier))
            messages.append(kept)
            return kept
        }
        switch kept.status {
        case 0: exchange.close()
        case 201:
            try answer(201, TwilioMessage(sid: "SM\(Sodium.random(16).hex)", to: kept.to, body: kept.text), exchange)
        case 429: try refuse(429, 20429, "Too Many Requests", exchange)
        case 500: try refuse(500, 20500, "Internal Server Error", exchange)
        default:
            let codes = ["1": 21211, "3": 21408, "4": 21610, "9": 21614]
            try refuse(
                400, codes[String(kept.to.suffix(1))] ?? 21211, "The number \(kept.to) cannot be reached", exchange)
        }
    }

    private func status(of mobile: String, after earlier: Int) -> Int {
        switch mobile {
        case "+15005550001", "+15005550003", "+15005550004", "+15005550009": 400
        case "+15005550029": 429
        case "+15005550129": earlier < 2 ? 429 : 201
        case "+15005550050": 500
        case "+15005550040": 0
        default: 201
        }
    }

    private func refuse(_ status: Int, _ code: Int, _ message: String, _ exchange: HTTPExchange) throws {
        let error = TwilioError(
            code: code, message: message, more_info: "https://www.twilio.com/docs/errors/\(code)", status: status)
        try answer(status, error, exchange)
    }

    private func answer(_ status: Int, _ value: some Encodable, _ exchange: HTTPExchange) throws {
        try exchange.answer(status: status, type: "application/json", body: JSON.encode(value))
    }
}
