import FoundationEssentials

/// The body of `generateContent` and `streamGenerateContent`, as far as the sandbox looks at it. Both spellings of a
/// name are accepted, and a name that Google does not know is refused, as Google does.
struct GenerateRequest: Decodable {
    private enum Name: String, CodingKey {
        case model, contents, systemInstruction, generationConfig, safetySettings, tools, toolConfig, cachedContent
        case serviceTier, store, continuationToken, labels
    }

    var contents: [Content]?
    var systemInstruction: Content?
    var thinking: ThinkingConfig?
    var candidateCount: Int?
    var continuationToken: String?

    init(contents: [Content]?) {
        self.contents = contents
    }

    init(from decoder: any Decoder) throws {
        let object = try decoder.object(of: Name.self)
        contents = try object.decodeIfPresent([Content].self, forKey: .contents)
        systemInstruction = try object.decodeIfPresent(Content.self, forKey: .systemInstruction)
        continuationToken = try object.decodeIfPresent(String.self, forKey: .continuationToken)
        let generation = try object.decodeIfPresent(GenerationConfig.self, forKey: .generationConfig)
        thinking = generation?.thinking
        candidateCount = generation?.candidateCount
    }

    /// The text of the last user message, in which directives stand.
    var lastUserText: String {
        contents?.last { $0.isUser }?.text ?? ""
    }

    /// Whether a message stands in it with which every call is blocked.
    var isPoisoned: Bool { (contents ?? []).contains { $0.isUser && $0.text.contains("[sandbox:poison") } }

    /// The request whose answer was cut off and what was said of it, where this one asks for the rest.
    var cutOff: (request: GenerateRequest, said: String)? {
        let turns = contents ?? []
        guard turns.count >= 3, let last = turns.last, last.isUser, last.text.hasPrefix("Continue"),
            !last.text.contains("[sandbox:"), !turns[turns.count - 2].isUser, turns[turns.count - 3].isUser
        else { return nil }
        var request = self
        request.contents = turns.dropLast(2)
        return (request, turns[turns.count - 2].text)
    }

    var promptTokens: Int {
        let all = (contents ?? []) + (systemInstruction.map { [$0] } ?? [])
        return all.flatMap { $0.parts ?? [] }.reduce(0) { sum, part in
            sum + (part.text.map(tokenCount) ?? part.inlineData?.tokens ?? 1_120)
        }
    }
}

struct Content: Decodable {
    private enum Name: String, CodingKey { case role, parts }

    let role: String?
    let parts: [Part]?

    init(from decoder: any Decoder) throws {
        let object = try decoder.object(of: Name.self)
        role = try object.decodeIfPresent(String.self, forKey: .role)
        parts = try object.decodeIfPresent([Part].self, forKey: .parts)
    }

    var isUser: Bool { role != "model" }
    var text: String { (parts ?? []).compactMap(\.text).joined() }
    var files: [InlineData] { (parts ?? []).compactMap(\.inlineData) }
}

struct Part: Decodable {
    private enum Name: String, CodingKey {
        case text, inlineData, fileData, functionCall, functionResponse, executableCode, codeExecutionResult, toolCall
        case toolResponse
        case thought, thoughtSignature, videoMetadata, mediaResolution, mediaProcessing, partMetadata

        static let extras: Set = [
            thought, thoughtSignature, videoMetadata, mediaResolution, mediaProcessing, partMetadata,
        ]
    }

    let text: String?
    let inlineData: InlineData?
    /// Whether it has what Google calls its data: a text, a file, a function call, …
    let hasData: Bool

    init(from decoder: any Decoder) throws {
        let object = try decoder.object(of: Name.self)
        text = try object.decodeIfPresent(String.self, forKey: .text)
        inlineData = try object.decodeIfPresent(InlineData.self, forKey: .inlineData)
        let isBlank = text == "" && !object.contains(.thoughtSignature)
        hasData = !isBlank && !Name.extras.isSuperset(of: object.allKeys)
    }
}

/// A file in the request itself, in base64 of either alphabet, padded or not.
struct InlineData: Decodable {
    private enum Name: String, CodingKey { case mimeType, data, displayName }

    let mimeType: String
    let bytes: Int
    /// Whether it is to be refused.
    let isUnreadable: Bool

    /// What Google counts with its standard resolutions (Gemini 3): of a PDF, for one page.
    var tokens: Int { mimeType == "application/pdf" ? 560 : 1_120 }

    init(from decoder: any Decoder) throws {
        let object = try decoder.object(of: Name.self)
        mimeType = try object.decodeIfPresent(String.self, forKey: .mimeType) ?? ""
        let text = try object.decodeIfPresent(String.self, forKey: .data) ?? ""
        var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
        if !base64.hasSuffix("=") { base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4) }
        guard let data = Data(base64Encoded: base64) else {
            throw GoogleError.invalid("Invalid value at 'inline_data.data' (TYPE_BYTES), Base64 decoding failed")
        }
        bytes = data.count
        isUnreadable = data.firstRange(of: Data("[sandbox:unreadable]".utf8)) != nil
    }
}

struct GenerationConfig: Decodable {
    private enum Name: String, CodingKey {
        case temperature, topP, topK, candidateCount, maxOutputTokens, stopSequences, seed, presencePenalty
        case frequencyPenalty, responseMimeType, responseSchema, responseJsonSchema, responseModalities
        case mediaResolution, thinkingConfig, responseLogprobs, logprobs, speechConfig, imageConfig
        case enableEnhancedCivicAnswers, audioTranscriptionConfig
    }

    let candidateCount: Int?
    let thinking: ThinkingConfig?

    init(from decoder: any Decoder) throws {
        let object = try decoder.object(of: Name.self)
        candidateCount = try object.decodeIfPresent(Int.self, forKey: .candidateCount)
        thinking = try object.decodeIfPresent(ThinkingConfig.self, forKey: .thinkingConfig)
        _ = try object.decodeIfPresent(Int.self, forKey: .maxOutputTokens)
        _ = try object.decodeIfPresent(Double.self, forKey: .temperature)
    }
}

struct ThinkingConfig: Decodable {
    private enum Name: String, CodingKey { case thinkingLevel, thinkingBudget, includeThoughts }

    let level: String?
    let budget: Int?

    init(from decoder: any Decoder) throws {
        let object = try decoder.object(of: Name.self)
        level = try object.decodeIfPresent(String.self, forKey: .thinkingLevel)?.lowercased()
        budget = try object.decodeIfPresent(Int.self, forKey: .thinkingBudget)
    }
}

/// The body of `countTokens`: contents alone, or a whole request.
struct CountTokensRequest: Decodable {
    private enum Name: String, CodingKey { case contents, generateContentRequest }

    let contents: [Content]?
    let generateContentRequest: GenerateRequest?

    init(from decoder: any Decoder) throws {
        let object = try decoder.object(of: Name.self)
        contents = try object.decodeIfPresent([Content].self, forKey: .contents)
        generateContentRequest = try object.decodeIfPresent(GenerateRequest.self, forKey: .generateContentRequest)
    }
}

/// Not Google's tokenizer, but close to it for English.
func tokenCount(of text: String) -> Int {
    (text.utf8.count + 3) / 4
}
