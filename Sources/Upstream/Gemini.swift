import Common

/// Where Gemini is and how it is called: generateContent of the Gemini API, always streamed.
/// Source: https://ai.google.dev/api/generate-content
public struct Gemini: Sendable {
    /// What one turn of a conversation says.
    public struct Turn {
        /// `user` or `model`.
        public let role: String
        public let content: String
        public let attachments: [Attachment]

        public init(role: String, content: String, attachments: [Attachment] = []) {
            self.role = role
            self.content = content
            self.attachments = attachments
        }
    }

    /// A picture or a document that goes along with a turn.
    public struct Attachment {
        let mediaType: String
        let base64: [Upload.Piece]

        public init(mediaType: String, base64: [Upload.Piece]) {
            self.mediaType = mediaType
            self.base64 = base64
        }
    }

    private let baseURL: String
    private let version: String
    private let maxOutputTokens: Int
    /// Seconds for one call, from the first byte sent to the last received, and of them without a byte.
    private let (timeout, silence): (Int, Int)

    /// As the environment says.
    public init() {
        baseURL = Settings.text("GEMINI_BASE_URL", default: "https://generativelanguage.googleapis.com")
        version = Settings.text("GEMINI_API_VERSION", default: "v1beta")
        maxOutputTokens = Settings.number("MAX_OUTPUT_TOKENS", default: 0, in: 0...65_536)
        timeout = Settings.number("REPLY_TIMEOUT_SECONDS", default: 3_600, in: 1...86_400)
        silence = Settings.number("REPLY_SILENCE_SECONDS", default: 180, in: 1...86_400)
    }

    /// The call that has `model` go on with a conversation.
    /// - Parameters:
    ///   - key: of the API.
    ///   - outputTokens: at most, where MAX_OUTPUT_TOKENS is not less; 0: no limit.
    ///   - continuation: the token with which Gemini ended an answer that it had not finished.
    public func request(
        model: String, key: String, turns: [Turn], systemInstruction: String?, outputTokens: Int = 0,
        continuation: String? = nil
    ) throws -> HTTPRequest {
        // Stands for the bytes of attachments, which are not to be in memory.
        let mark = Sodium.uuid().text
        // Parameters of sampling are left out: current models ignore or refuse them.
        let body = Body(
            contents: turns.map { turn in
                let attachments = turn.attachments.map {
                    Body.Part(inlineData: .init(data: mark, mimeType: $0.mediaType))
                }
                return Body.Content(role: turn.role, parts: attachments + [.init(text: turn.content)])
            },
            systemInstruction: systemInstruction.flatMap {
                $0.isEmpty ? nil : Body.Content(role: "user", parts: [.init(text: $0)])
            },
            generationConfig: [maxOutputTokens, outputTokens].filter { $0 > 0 }.min().map {
                .init(maxOutputTokens: $0)
            },
            continuationToken: continuation)
        let bytes = try JSON.encode(body)
        let attachments = turns.flatMap(\.attachments)
        return HTTPRequest(
            url: "\(baseURL)/\(version)/models/\(model):streamGenerateContent?alt=sse",
            headers: [
                ("Content-Type", "application/json"), ("x-goog-api-key", key),
                // Google refuses less than 10 s ("Minimum allowed deadline is 10s").
                ("X-Server-Timeout", String(max(10, timeout))),
            ],
            body: attachments.isEmpty ? bytes : [],
            upload: attachments.isEmpty ? nil : Upload(bytes, mark: mark, for: attachments.map(\.base64)),
            timeout: timeout * 1_000, silence: min(timeout, silence))
    }

    private struct Body: Encodable {
        struct Part: Encodable {
            var text: String?
            var inlineData: InlineData?
        }
        struct InlineData: Encodable {
            let data: String
            let mimeType: String
        }
        struct Content: Encodable {
            let role: String
            let parts: [Part]
        }
        struct Config: Encodable { let maxOutputTokens: Int }
        let contents: [Content]
        let systemInstruction: Content?
        let generationConfig: Config?
        let continuationToken: String?
    }
}
