import FoundationEssentials

/// What is said in reply to one request, before it is known how it is sent.
struct Reply {
    private let model: String
    private let id: String
    private let promptTokens: Int
    private let isBlocked: Bool

    private var thought: String?
    private var text = ""
    private var finish = "STOP"
    private var hiddenThoughtTokens = 0
    /// Cut by a filter: what was streamed before is all there is, and the end comes without content.
    private var isWithheld = false
    private var continuationToken: String?
    private var stopsEachTime = false
    /// Said instead of the count of the text's tokens.
    private var statedTokens: Int?

    init(to request: GenerateRequest, model: String, directives: Directives, seed: Seed, number: Int) throws {
        self.model = model
        id = "sandbox-\(String(seed.number(for: String(number)), radix: 16))"
        promptTokens = request.promptTokens
        isBlocked = directives["blocked"] != nil || request.isPoisoned

        func whole(_ request: GenerateRequest) throws -> String {
            try directives.literal
                ?? directives["long"].map { longText(bytes: try $0.number("bytes")) }
                ?? directives["checked"].map { checkedText(to: request, words: try $0.number("words", default: 40)) }
                ?? answerText(to: request, model: model, seed: seed)
        }
        text = try whole(request)
        if let (question, said) = request.cutOff {
            let rest = try whole(question).utf8
            if rest.starts(with: said.utf8) { text = String(decoding: rest.dropFirst(said.utf8.count), as: UTF8.self) }
        }
        try continueText(from: request.continuationToken, by: directives["continuation"])
        if directives["thoughts"] != nil {
            thought = "**Reading the message**\n\nThe sandbox does not think; this part only looks as if it did.\n"
        }
        stopsEachTime = directives["stop-each"] != nil
        statedTokens = try directives["tokens"]?.count("count")
        if directives["blank"] != nil { text = " \n\t \n" }
        // A part that ends for good is the last.
        if directives["empty"] != nil { (text, finish, hiddenThoughtTokens) = ("", "MAX_TOKENS", 1024) }
        if directives["max-tokens"] != nil { (text, finish) = (text.firstHalf, "MAX_TOKENS") }
        if directives["safety"] != nil { (text, finish, isWithheld) = (text.firstHalf, "SAFETY", true) }
        if directives["recitation"] != nil { (text, finish, isWithheld) = (text.firstHalf, "RECITATION", true) }
        if let directive = directives["finish"] {
            guard let reason = try directive.word("reason") else { throw directive.refused("reason= is missing") }
            (text, finish, isWithheld) = (text.firstHalf, reason, true)
        }
    }

    /// Replaces the text by the part of it that the token, or its absence, asks for.
    private mutating func continueText(from token: String?, by directive: Directives.Directive?) throws {
        let hops = try directive?.number("hops", default: 1) ?? 0
        let (position, count) = try token.map(Self.place) ?? (0, hops + 1)
        let pieces = text.pieces(count)
        guard position < pieces.count else { throw GoogleError.invalid("The continuation token is not valid.") }
        text = pieces[position]
        if position + 1 < pieces.count {
            finish = "CONTINUATION"
            continuationToken = Data("sandbox:\(position + 1)/\(count)".utf8).base64EncodedString()
        }
    }

    /// Which piece of how many; clients send bytes back in either base64 alphabet.
    private static func place(in token: String) throws -> (position: Int, count: Int) {
        let standard = String(token.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        let text = Data(base64Encoded: standard).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let numbers = text.dropFirst("sandbox:".count).split(separator: "/").compactMap { Int($0) }
        guard text.hasPrefix("sandbox:"), numbers.count == 2, numbers[0] > 0, numbers[1] > numbers[0] else {
            throw GoogleError.invalid("The continuation token is not valid.")
        }
        return (numbers[0], numbers[1])
    }

    /// The answer in one piece.
    var whole: GenerateResponse {
        if isBlocked { return blocked }
        if isWithheld { return response(parts: nil, said: "", ends: true) }
        let thoughts = thought.map { [ReplyContent.Part(text: $0, thought: true)] } ?? []
        let texts = text.isEmpty ? [] : [ReplyContent.Part(text: text, thoughtSignature: signature)]
        return response(parts: thoughts + texts, said: text, ends: true)
    }

    /// The answer in at most `count` pieces of text, by default so many that a person sees it arrive.
    func chunks(_ count: Int?) -> [GenerateResponse] {
        if isBlocked || text.isEmpty { return [whole] }
        var chunks: [GenerateResponse] = []
        if let thought { chunks.append(response(parts: [.init(text: thought, thought: true)], said: "", ends: false)) }
        var said = ""
        let pieces = text.pieces(count ?? min(max(text.utf8.count / 64, 4), 16))
        for (index, piece) in pieces.enumerated() {
            said += piece
            let ends = index == pieces.count - 1 && !isWithheld && thought == nil
            chunks.append(response(parts: [.init(text: piece)], said: said, ends: ends))
        }
        if isWithheld {
            chunks.append(response(parts: nil, said: said, ends: true))
        } else if thought != nil {
            // Google sends the signature of a stream on an empty last part.
            chunks.append(response(parts: [.init(text: "", thoughtSignature: signature)], said: said, ends: true))
        }
        return chunks
    }

    private var signature: String? {
        thought == nil ? nil : Data("sandbox signature of \(id)".utf8).base64EncodedString()
    }

    private var blocked: GenerateResponse {
        GenerateResponse(
            promptFeedback: .init(blockReason: "SAFETY", safetyRatings: SafetyRating.blocked),
            usageMetadata: Usage(prompt: promptTokens, candidates: 0, thoughts: 0), modelVersion: model, responseId: id)
    }

    /// `parts` nil: without content; `said`: all text up to here, for the running counts.
    private func response(parts: [ReplyContent.Part]?, said: String, ends: Bool) -> GenerateResponse {
        var candidate = GenerateResponse.Candidate()
        candidate.content = parts.map { ReplyContent(parts: $0.isEmpty ? nil : $0) }
        if ends {
            candidate.finishReason = finish
            candidate.continuationToken = finish == "CONTINUATION" ? continuationToken : nil
            if finish == "SAFETY" { candidate.safetyRatings = SafetyRating.blocked }
            if finish == "RECITATION" {
                let source = Citation(startIndex: 0, endIndex: text.utf8.count, uri: "https://example.com/recited")
                candidate.citationMetadata = ["citationSources": [source]]
            }
        }
        if stopsEachTime { candidate.finishReason = candidate.finishReason ?? "STOP" }
        let thoughts = hiddenThoughtTokens + (thought.map(tokenCount) ?? 0)
        var usage = Usage(prompt: promptTokens, candidates: tokenCount(of: said), thoughts: thoughts)
        usage.candidatesTokenCount = statedTokens ?? usage.candidatesTokenCount
        return GenerateResponse(candidates: [candidate], usageMetadata: usage, modelVersion: model, responseId: id)
    }
}
