import FoundationEssentials
import SandboxHTTP
import Synchronization

/// Answers the requests of a Gemini client.
final class GeminiService: Sendable {
    private let pace: Pace
    private let seed: Seed
    private let faults: Faults?
    private let log = RequestLog(secrets: ["x-goog-api-key", "key"])
    private let calls = CallCounter()
    private let replies = Atomic(0)

    init(pace: Pace, seed: Seed, faults: Faults?) {
        self.pace = pace
        self.seed = seed
        self.faults = faults
    }

    @Sendable func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) throws {
        if try log.serve(request, exchange) { return }
        // For tests: how often each fault was played.
        if let faults, request.path == "/sandbox/faults" { return try answer(faults.played, exchange) }
        log.record(request)
        do {
            guard let route = Route(request) else { throw GoogleError.noSuchMethod }
            try checkKey(request)
            switch route.action {
            case .listModels: try answer(ModelList(version: route.version), exchange)
            case .getModel(let name): try answer(try Model.named(name, version: route.version), exchange)
            case .call(.countTokens, let model): try countTokens(request, try known(model, route), exchange)
            case .call(let method, let model): try generate(request, method, try known(model, route), exchange)
            }
        } catch let error as GoogleError {
            let isArray = request.path.hasSuffix(":streamGenerateContent") && request.query["alt"] != "sse"
            let body = try isArray ? encode([error.envelope]) : encode(error.envelope)
            try exchange.answer(status: error.code, type: jsonType, body: Array(body))
        }
    }

    private func checkKey(_ request: HTTPRequest) throws {
        switch request.headers["x-goog-api-key"] ?? request.query["key"] ?? "" {
        case "": throw GoogleError.missingKey
        case "invalid": throw GoogleError.invalidKey
        default: return
        }
    }

    private func known(_ model: String, _ route: Route) throws -> String {
        _ = try Model.named(model, version: route.version)
        return model
    }

    private func countTokens(_ request: HTTPRequest, _ model: String, _ exchange: HTTPExchange) throws {
        let input = try CountTokensRequest.decode(request.body)
        let prompt = input.generateContentRequest ?? GenerateRequest(contents: input.contents)
        try prompt.check(model: model)
        try exchange.pause(milliseconds: pace.delay)
        try answer(TokenCount(totalTokens: prompt.promptTokens), exchange)
    }

    private func generate(
        _ request: HTTPRequest, _ method: Route.Method, _ model: String, _ exchange: HTTPExchange
    ) throws {
        let input = try GenerateRequest.decode(request.body)
        try input.check(model: model)
        let message = (input.cutOff?.request ?? input).lastUserText
        let asked = try Directives(in: message)
        var directives = asked.areCounted ? asked.active(onCall: calls.next(message)) : asked
        if let fault = faults?.next() { try directives.add(fault) }
        let isEvents = request.query["alt"] == "sse"
        let delivery = try Delivery(method: method, isEvents: isEvents, pace: pace, directives: directives)

        try exchange.pause(milliseconds: delivery.delay)
        if let refusal = try directives.refusal(model: model) { throw refusal }
        if directives["drop"] != nil { return exchange.close() }
        if directives["garbage"] != nil { return try delivery.sendGarbage(over: exchange) }

        let number = replies.add(1, ordering: .relaxed).newValue
        let reply = try Reply(to: input, model: model, directives: directives, seed: seed, number: number)
        try delivery.send(reply, over: exchange)
    }

    private func answer(_ value: some Encodable, _ exchange: HTTPExchange) throws {
        try exchange.answer(status: 200, type: jsonType, body: Array(try encode(value)))
    }
}

/// How often each message was seen, for `times=`.
private final class CallCounter: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// 1 for the first call.
    func next(_ message: String) -> Int {
        counts.withLock { counts in
            counts[message, default: 0] += 1
            return counts[message, default: 0]
        }
    }
}

let jsonType = "application/json; charset=UTF-8"

/// Sorted, so that the same answer is the same bytes.
func encode(_ value: some Encodable, pretty: Bool = false) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    return try encoder.encode(value)
}
