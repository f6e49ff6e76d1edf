import SandboxHTTP

/// The time that an answer takes, in milliseconds.
struct Pace {
    /// To the first byte.
    let delay: Int
    /// Between chunks.
    let interval: Int
}

/// How a reply is sent: in which form, how fast, and how it goes wrong.
struct Delivery {
    private enum Form { case whole, events, array }
    private enum ErrorShape: String { case data, bare, lines }
    /// What is wrong with the first chunk.
    private enum Damage: String, CaseIterable {
        case surrogate, bytes
        case cutEvent = "cut-event"
    }

    private enum Ending {
        case complete
        case error(GoogleError, ErrorShape)
        case cutOff(clean: Bool)
        case reset
    }

    /// To the first byte.
    let delay: Int
    private let form: Form
    private let interval: Int
    private let chunks: Int?
    private let fragment: Int?
    private let hang: (milliseconds: Int, after: Int)?
    private let ending: Ending
    private let isFramed: Bool
    private let damage: Damage?

    init(method: Route.Method, isEvents: Bool, pace: Pace, directives: Directives) throws {
        form = method == .generateContent ? .whole : isEvents ? .events : .array
        delay = try directives["slow"]?.number("ms") ?? pace.delay
        interval = try form == .whole ? 0 : directives["chunks"]?.number("ms", default: pace.interval) ?? pace.interval
        chunks = try directives["chunks"]?.number("n")
        fragment = try directives["fragment"].map { max(1, try $0.number("bytes", default: 7)) }
        hang = try directives["hang"].map {
            (try $0.number("ms", default: 600_000), try $0.number("after", default: 0))
        }
        if let directive = directives["stream-error"] {
            let shape = try directive.word("shape", of: ["data", "bare", "lines"]) ?? "data"
            ending = .error(try directive.error(default: 503), ErrorShape(rawValue: shape) ?? .data)
        } else if let directive = directives["truncate"] {
            ending = .cutOff(clean: try directive.word("end", of: ["clean"]) != nil)
        } else {
            ending = directives["reset"] == nil ? .complete : .reset
        }
        isFramed = directives["framing"] != nil
        damage = Damage.allCases.first { directives[$0.rawValue] != nil }
    }

    func send(_ reply: Reply, over exchange: HTTPExchange) throws {
        if case .error(let error, _) = ending, form == .whole { throw error }
        let frames = try frames(of: reply)
        let sent: ArraySlice<[UInt8]>
        if case .complete = ending { sent = frames[...] } else { sent = frames.prefix(frames.count / 2) }

        for (index, frame) in sent.enumerated() {
            if let hang, index == min(hang.after, sent.count - 1) {
                try exchange.pause(milliseconds: hang.milliseconds)
            }
            if index == 0 { try start(exchange) } else { try exchange.pause(milliseconds: interval) }
            try write(frame, to: exchange)
        }
        if sent.isEmpty { try start(exchange) }
        switch ending {
        case .complete, .cutOff(clean: true): try exchange.finish()
        case .cutOff: exchange.close()
        case .reset: exchange.reset()
        case .error(let error, let shape):
            try exchange.write(errorFrame(error, shape))
            try exchange.finish()
        }
    }

    /// 200, but nothing that a JSON parser takes.
    func sendGarbage(over exchange: HTTPExchange) throws {
        let nonsense = "<html><body>This is not what you asked for {\"candidates\": [</body></html>"
        try start(exchange)
        try exchange.write(Array((form == .events ? "data: \(nonsense)\r\n\r\n" : nonsense).utf8))
        try exchange.finish()
    }

    private func start(_ exchange: HTTPExchange) throws {
        try exchange.start(status: 200, type: form == .events ? "text/event-stream" : jsonType)
    }

    private func write(_ frame: [UInt8], to exchange: HTTPExchange) throws {
        guard let fragment else { return try exchange.write(frame) }
        for start in stride(from: 0, to: frame.count, by: fragment) {
            try exchange.write(Array(frame[start..<min(start + fragment, frame.count)]))
            try exchange.pause(milliseconds: 1)  // or they would arrive together
        }
    }

    /// What is written one after the other. An answer in one piece is written in two, so that it can break off between.
    private func frames(of reply: Reply) throws -> [[UInt8]] {
        if form == .whole {
            let bytes = Array(try encode(reply.whole))
            return [Array(bytes[..<(bytes.count / 2)]), Array(bytes[(bytes.count / 2)...])]
        }
        let responses = reply.chunks(chunks)
        return try responses.enumerated().map { index, response in
            let whole = Array(try encode(response, pretty: isFramed))
            let json = index == 0 ? damaged(whole) : whole
            if form == .events { return isFramed ? framed(json, number: index) : event(json) }
            let opening = index == 0 ? "[" : ",\r\n"
            let closing = index == responses.count - 1 ? "]" : ""
            return Array(opening.utf8) + json + Array(closing.utf8)
        }
    }

    private func errorFrame(_ error: GoogleError, _ shape: ErrorShape) throws -> [UInt8] {
        let json = Array(try encode(error.envelope, pretty: shape != .data))
        switch (form, shape) {
        case (.events, .bare): return json + Array("\n".utf8)
        case (.events, .lines): return lines(json, ending: "\r\n") + Array("\r\n".utf8)
        case (.events, .data): return event(json)
        case (.array, _), (.whole, _): return Array(",\r\n".utf8) + json + Array("]".utf8)
        }
    }

    private func damaged(_ json: [UInt8]) -> [UInt8] {
        let opening = Array((isFramed ? "\"text\" : \"" : "\"text\":\"").utf8)
        guard let damage, let text = json.firstRange(of: opening) else { return json }
        var end = text.upperBound
        while json[end] != UInt8(ascii: "\"") { end += json[end] == UInt8(ascii: "\\") ? 2 : 1 }
        switch damage {
        case .cutEvent: return Array(json[..<end])
        case .surrogate: return json[..<end] + Array("\\ud83d".utf8) + json[end...]
        case .bytes: return json[..<end] + [0xFF, 0xC3] + json[end...]
        }
    }

    /// An event with all that the standard allows and Google does not send.
    private func framed(_ json: [UInt8], number: Int) -> [UInt8] {
        let head = number == 0 ? "\u{FEFF}:\r: a comment\rdata\r\r" : ": and so on\r"
        return Array("\(head)event: message\rid: \(number)\rretry: 1000\runknown: data\r".utf8)
            + lines(json, ending: "\r") + Array("\r".utf8)
    }

    private func lines(_ json: [UInt8], ending: String) -> [UInt8] {
        json.split(separator: UInt8(ascii: "\n")).flatMap { Array("data: ".utf8) + $0 + Array(ending.utf8) }
    }

    private func event(_ json: [UInt8]) -> [UInt8] {
        Array("data: ".utf8) + json + Array("\r\n\r\n".utf8)
    }
}
