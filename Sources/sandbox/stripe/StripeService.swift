import Common
import FoundationEssentials
import Glibc
import SandboxHTTP
import Synchronization

/// Answers those who call the API, those who come to pay, and those who ask for trouble.
final class StripeService: Sendable {
    let webhooks = Webhooks()
    let faults = Faults()
    private let idempotency = Idempotency()
    private let log = RequestLog(secrets: ["authorization"])
    private let books: Mutex<Books>
    private let api: API
    private let pages = Pages()
    /// Where the books are kept for the next start; nil: nowhere.
    private let path: String?

    init(price: String, period: Int, url: String, path: String?) throws {
        var books = try path.map(StripeService.kept) ?? Books()
        books.period = period
        books.url = url
        self.books = Mutex(books)
        self.path = path
        api = API(price: price)
    }

    /// The books as the last start left them; new ones where there is no file, or nothing in it yet.
    private static func kept(_ path: String) throws -> Books {
        struct Unreadable: Error, CustomStringConvertible { let description: String }
        do {
            let kept = try Data(contentsOf: URL(filePath: path))
            return kept.isEmpty ? Books() : try JSONDecoder().decode(Books.self, from: kept)
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            return Books()
        } catch {
            let cause = (error as? CocoaError)?.underlying as? POSIXError
            let reason = cause.map { String(cString: strerror($0.code.rawValue)) } ?? "\(error)"
            throw Unreadable(description: "cannot read the state in \(path): \(reason)")
        }
    }

    /// Changes the books, has told whoever wants to know what happened, and keeps them.
    func change<Value>(_ body: (inout sending Books) throws -> sending Value) throws -> sending Value {
        try books.withLock { books in
            let value = try body(&books)
            for event in books.happened {
                try webhooks.send(event.type, old: event.old, new: event.new, at: books.now)
            }
            let hasChanged = !books.happened.isEmpty
            books.happened = []
            if let path, hasChanged { try Data(try JSON.encode(books)).write(to: URL(filePath: path)) }
            return value
        }
    }

    /// Lets time bring what it brings, for ever.
    func passTime() -> Never {
        while true {
            do { try change { $0.passTime() } } catch { complain(error) }
            usleep(50_000)
        }
    }

    @Sendable func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) throws {
        if try log.serve(request, exchange) { return }
        switch request.path.split(separator: "/").first {
        case "v1": try serveAPI(request, exchange)
        case "sandbox":
            do {
                guard let answer = try control(request) else {
                    return try answerText(404, "There is no such control.", exchange)
                }
                try self.answer(200, JSON.encode(answer), exchange)
            } catch let fault as StripeFault {
                try answer(fault.status, JSON.encode(fault.json), exchange)
            }
        default:
            switch try change({ try pages.answer(request, &$0) }) {
            case .page(let html): try answerText(200, html, exchange, type: "text/html; charset=utf-8")
            case .redirect(let url):
                try exchange.answer(status: 303, type: "text/plain", headers: [("Location", url)], body: [])
            case .missing: try answerText(404, "There is no such page.", exchange)
            }
        }
    }

    private func serveAPI(_ request: HTTPRequest, _ exchange: HTTPExchange) throws {
        log.record(request)
        let fault = faults.take(request.path)
        switch fault?.kind {
        case .down: return exchange.reset()
        case .busy:
            let busy = StripeFault(status: 429, type: "api_error", code: "rate_limit", message: "Too many requests.")
            return try answer(429, JSON.encode(busy.json), exchange)
        default: break
        }
        let (status, body, isReplayed) = try outcome(request) {
            if fault?.kind == .slow { try exchange.pause(milliseconds: fault?.milliseconds ?? 0) }
            if fault?.kind == .error { throw StripeFault.failed }
        }
        if fault?.kind == .lost { return exchange.reset() }
        try answer(status, body, exchange, headers: isReplayed ? [("Idempotent-Replayed", "true")] : [])
    }

    /// What comes of a call: what came of it the first time, where it has a key.
    private func outcome(_ request: HTTPRequest, befalls: () throws -> Void) throws -> (Int, [UInt8], isReplayed: Bool)
    {
        let key = request.method == "POST" ? request.headers["idempotency-key"] : nil
        do {
            let bearer = request.headers["authorization"] ?? ""
            guard bearer.hasPrefix("Bearer sk_test_") else {
                throw StripeFault(
                    status: 401, type: "invalid_request_error",
                    message: "Invalid API Key provided: it is none of a test.")
            }
            if let key, let first = try idempotency.begin(key, "\(request.path) \(request.form.map(sorted) ?? "")") {
                return (first.status, first.body, true)
            }
        } catch let fault as StripeFault {
            return (fault.status, try JSON.encode(fault.json), false)
        }
        let answer: Idempotency.Answer
        do {
            answer = try execute(request, befalls)
        } catch {
            if let key { idempotency.end(key, nil) }
            throw error
        }
        // What was refused before anything was done may be tried again under its key.
        if let key { idempotency.end(key, (400...499).contains(answer.status) ? nil : answer) }
        return (answer.status, answer.body, false)
    }

    private func execute(_ request: HTTPRequest, _ befalls: () throws -> Void) throws -> Idempotency.Answer {
        do {
            try befalls()
            let version = APIVersion(request.headers["stripe-version"] ?? APIVersion.newName)
            let body = try change { try JSON.encode(api.answer(request, version, &$0)) }
            return Idempotency.Answer(status: 200, body: body)
        } catch let fault as StripeFault {
            return Idempotency.Answer(status: fault.status, body: try JSON.encode(fault.json))
        }
    }

    private func sorted(_ form: [String: String]) -> String {
        form.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "&")
    }

    private func answer(
        _ status: Int, _ body: [UInt8], _ exchange: HTTPExchange, headers: [(String, String)] = []
    ) throws {
        try exchange.answer(
            status: status, type: "application/json", headers: headers + [("Request-Id", Books.id("req"))], body: body)
    }

    private func answerText(
        _ status: Int, _ text: String, _ exchange: HTTPExchange, type: String = "text/plain; charset=utf-8"
    ) throws {
        try exchange.answer(
            status: status, type: type, headers: [("Content-Security-Policy", "default-src 'none'")],
            body: Array(text.utf8))
    }

    private func complain(_ error: any Error) {
        let line = Array("sandbox-stripe: \(error)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
}
