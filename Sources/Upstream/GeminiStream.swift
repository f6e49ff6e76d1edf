import Common

/// What a streamed answer has said so far, put together from its bytes as they come (server-sent events, one JSON object each).
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
    /// Something came that cannot be read: the text ends before it.
    public private(set) var isGarbled = false
    /// Whether the question was taken: the model has begun to answer, or was not allowed to.
    public private(set) var hasBegun = false
    /// Bytes of the text that came before the call under way.
    private var earlier = 0

    private var events = ServerSentEvents()

    public init() {}

    /// Whether the text has something to read in it.
    public var hasText: Bool { text.contains { !$0.isWhitespace } }
    /// Whether the call under way has added to the text.
    public var hasGrown: Bool { text.utf8.count > earlier }

    /// Takes the next bytes.
    public mutating func receive(_ bytes: [UInt8]) {
        for event in events.receive(bytes) { take(event) }
    }

    /// Says that nothing more comes.
    public mutating func end() {
        if let event = events.end() { take(event) }
        guard !events.body.isEmpty, error == nil else { return }
        let envelope = try? JSON.decodeMended(Envelope.self, events.body)
        error = envelope?.error ?? (try? JSON.decodeMended([Envelope].self, events.body))?.first?.error
        isGarbled = isGarbled || error == nil
    }

    /// Goes on with the continuation of an answer: the text stays.
    public mutating func resume() {
        (finishReason, continuation, events) = (nil, nil, ServerSentEvents())
        (hasBegun, earlier) = (false, text.utf8.count)
    }

    private mutating func take(_ data: [UInt8]) {
        guard let event = try? JSON.decodeMended(Event.self, data) else {
            isGarbled = true
            return
        }
        if let error = event.error { self.error = error }
        if let candidate = event.candidates?.first {
            hasBegun = true
            // After what is missing nothing fits.
            for part in candidate.content?.parts ?? [] where part.thought != true && !isGarbled {
                text += (part.text ?? "").withoutNUL
            }
            if let reason = candidate.finishReason { finishReason = reason.withoutNUL }
            if let token = candidate.continuationToken { continuation = token }
        }
        if let reason = event.promptFeedback?.blockReason { (blockReason, hasBegun) = (reason.withoutNUL, true) }
        if let version = event.modelVersion { modelVersion = version.withoutNUL }
        if let counts = event.usageMetadata {
            let output = (counts.candidatesTokenCount?.value ?? 0) + (counts.thoughtsTokenCount?.value ?? 0)
            let prompt = (counts.promptTokenCount?.value ?? 0) + (counts.toolUsePromptTokenCount?.value ?? 0)
            textTokens = counts.candidatesTokenCount?.value
            usage = Message.Usage(
                promptTokens: prompt, outputTokens: output,
                totalTokens: counts.totalTokenCount?.value ?? prompt + output)
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
            let promptTokenCount: TokenCount?
            let candidatesTokenCount: TokenCount?
            let thoughtsTokenCount: TokenCount?
            let toolUsePromptTokenCount: TokenCount?
            let totalTokenCount: TokenCount?
        }
        let candidates: [Candidate]?
        let promptFeedback: Feedback?
        let usageMetadata: Counts?
        let modelVersion: String?
        let error: GeminiError?
    }

    /// A count of tokens as Gemini gives it; without a value where it is none that can be true. No model takes or gives a
    /// hundred million, and sums of such counts have to fit into Postgres's integers.
    private struct TokenCount: Decodable {
        let value: Int?

        init(from decoder: any Decoder) {
            let count = try? decoder.singleValueContainer().decode(Int.self)
            value = count.flatMap { (0...100_000_000).contains($0) ? $0 : nil }
        }
    }
}

extension String {
    /// Postgres keeps no NUL in text.
    fileprivate var withoutNUL: String { utf8.contains(0) ? String(map { $0 == "\0" ? "\u{FFFD}" : $0 }) : self }
}
