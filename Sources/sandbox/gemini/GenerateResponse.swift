/// The body of an answer, and of each event of a stream.
struct GenerateResponse: Encodable {
    struct Candidate: Encodable {
        var content: ReplyContent?
        var finishReason: String?
        var index = 0
        var safetyRatings: [SafetyRating]?
        var citationMetadata: [String: [Citation]]?
        var continuationToken: String?
    }

    struct PromptFeedback: Encodable {
        let blockReason: String
        let safetyRatings: [SafetyRating]
    }

    var candidates: [Candidate]?
    var promptFeedback: PromptFeedback?
    var usageMetadata: Usage
    let modelVersion: String
    let responseId: String
}

struct ReplyContent: Encodable {
    struct Part: Encodable {
        let text: String
        var thought: Bool?
        var thoughtSignature: String?
    }

    /// Nil, as from Google, where all tokens went into thinking.
    let parts: [Part]?
    let role = "model"
}

struct SafetyRating: Encodable {
    let category: String
    let probability: String
    var blocked: Bool?

    static let blocked = [
        SafetyRating(category: "HARM_CATEGORY_HARASSMENT", probability: "NEGLIGIBLE"),
        SafetyRating(category: "HARM_CATEGORY_DANGEROUS_CONTENT", probability: "HIGH", blocked: true),
    ]
}

struct Citation: Encodable {
    let startIndex: Int
    let endIndex: Int
    let uri: String
}

/// Counts of zero are left out, as Google does.
struct Usage: Encodable {
    let promptTokenCount: Int
    var candidatesTokenCount: Int?
    let thoughtsTokenCount: Int?
    let totalTokenCount: Int
    let promptTokensDetails: [ModalityCount]

    init(prompt: Int, candidates: Int, thoughts: Int) {
        promptTokenCount = prompt
        candidatesTokenCount = candidates == 0 ? nil : candidates
        thoughtsTokenCount = thoughts == 0 ? nil : thoughts
        totalTokenCount = prompt + candidates + thoughts
        promptTokensDetails = [ModalityCount(tokenCount: prompt)]
    }
}

struct ModalityCount: Encodable {
    let modality = "TEXT"
    let tokenCount: Int
}

/// The answer of `countTokens`.
struct TokenCount: Encodable {
    let totalTokens: Int
    let promptTokensDetails: [ModalityCount]

    init(totalTokens: Int) {
        self.totalTokens = totalTokens
        promptTokensDetails = [ModalityCount(tokenCount: totalTokens)]
    }
}
