import Common

/// What a streamed answer has said so far, put together from its bytes as they come (server-sent events, WHATWG HTML
/// 9.2, one JSON object each).
public struct GeminiStream {
    /// The text, thoughts left out.
    public private(set) var text = ""
    /// Why the model stopped; nil until it did.
    public private(set) var finishReason: String?
    /// Why the prompt was not taken.
    public private(set) var blockReason: String?
    /// Given instead of an end, to ask for the rest with.
    public private(set) var continuation: String?
    public private(set) var usage: Message.Usage?
    /// The tokens of the text alone.
    public private(set) var textTokens: Int?
    /// The model that answered, by its own word.
    public private(set) var modelVersion: String?
    /// An error, which may come after a status of 200 too.
    public private(set) var error: GeminiError?
    /// Something came that is no event of the protocol.
    public private(set) var isGarbled = false

    private var line: [UInt8] = []
    /// Lines outside of events: the body of an error.
    private var rest: [UInt8] = []

    public init() {}

    /// Takes the next bytes. Lines end with CR or LF and nothing else, and are decoded whole, for a character may be cut
    /// in two.
    public mutating func receive(_ bytes: [UInt8]) {
        for byte in bytes {
            if byte == 0x0A || byte == 0x0D { endLine() } else { line.append(byte) }
        }
    }

    /// Says that nothing more comes.
    public mutating func end() {
        endLine()
        guard !rest.isEmpty, error == nil else { return }
        let envelope = try? JSON.decode(Envelope.self, rest)
        error = envelope?.error ?? (try? JSON.decode([Envelope].self, rest))?.first?.error
        isGarbled = isGarbled || error == nil
    }

    /// Goes on with the continuation of an answer: the text stays.
    public mutating func resume() {
        (finishReason, continuation, line, rest) = (nil, nil, [], [])
    }

    private mutating func endLine() {
        defer { line.removeAll(keepingCapacity: true) }
        guard !line.isEmpty else { return }
        guard line.starts(with: "data:".utf8) else {
            rest += line
            return
        }
        guard let event = try? JSON.decode(Event.self, Array(line.dropFirst(5))) else {
            isGarbled = true
            return
        }
        if let error = event.error { self.error = error }
        if let candidate = event.candidates?.first {
            for part in candidate.content?.parts ?? [] where part.thought != true {
                text += (part.text ?? "").withoutNUL
            }
            if let reason = candidate.finishReason { finishReason = reason }
            if let token = candidate.continuationToken { continuation = token }
        }
        if let reason = event.promptFeedback?.blockReason { blockReason = reason }
        if let version = event.modelVersion { modelVersion = version }
        if let counts = event.usageMetadata {
            let output = (counts.candidatesTokenCount ?? 0) + (counts.thoughtsTokenCount ?? 0)
            let prompt = (counts.promptTokenCount ?? 0) + (counts.toolUsePromptTokenCount ?? 0)
            textTokens = counts.candidatesTokenCount
            usage = Message.Usage(
                promptTokens: prompt, outputTokens: output, totalTokens: counts.totalTokenCount ?? prompt + output)
        }
    }

    private struct Envelope: Decodable { let error: GeminiError }

    private struct Event: Decodable {
        struct Part: Decodable {
            let text: String?
            let thought: Bool?
        }
        struct Content: Decodable { let parts: [Part]? }
        struct Candidate: Decodable {
            let content: Content?
            let finishReason: String?
            let continuationToken: String?
        }
        struct Feedback: Decodable { let blockReason: String? }
        struct Counts: Decodable {
            let promptTokenCount: Int?
            let candidatesTokenCount: Int?
            let thoughtsTokenCount: Int?
            let toolUsePromptTokenCount: Int?
            let totalTokenCount: Int?
        }
        let candidates: [Candidate]?
        let promptFeedback: Feedback?
        let usageMetadata: Counts?
        let modelVersion: String?
        let error: GeminiError?
    }
}

extension String {
    /// Postgres keeps no NUL in text.
    fileprivate var withoutNUL: String { utf8.contains(0) ? String(map { $0 == "\0" ? "\u{FFFD}" : $0 }) : self }
}
