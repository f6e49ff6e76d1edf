import CCurl
import Common

/// What a call resulted in.
public enum GeminiOutcome {
    /// The stream's text is the answer.
    case answered
    /// The answer goes on: call again with the stream's continuation token.
    case unfinished
    /// Worth another call, after the seconds that Gemini asks for, if it does; the failure is what the user is told when
    /// no call is left.
    case retry(after: Double?, otherwise: Message.Failure)
    /// Not through this key, with this model, or either, for so many seconds; nil where Gemini does not say how long. Another
    /// may do at once. The failure is what the user is told when none can be waited for.
    case held(HeldBack, seconds: Double?, otherwise: Message.Failure)
    /// Nothing that another call would change.
    case failed(Message.Failure)

    /// What has to be left alone for a while.
    public enum HeldBack: Sendable { case keyForModel, key, model }

    /// Judges a call that has ended.
    /// - Parameters:
    ///   - stream: after `end()`.
    ///   - transfer: after its end.
    public init(_ stream: GeminiStream, _ transfer: Transfer) {
        let reason = FinishReason(stream.finishReason ?? "")
        if let error = stream.error {
            self = GeminiOutcome(error)
        } else if transfer.status != 0, transfer.status != 200 {
            self = GeminiOutcome(GeminiError(status: transfer.status))
        } else if stream.blockReason != nil {
            self = .failed(.promptBlocked)
        } else if let failure = reason.failure {
            // What a filter has ended goes on no more, whatever comes of the connection.
            self = .failed(failure)
        } else if let failure = transfer.failure {
            // Some models say STOP in each chunk: only a transfer that came whole is an answer.
            self = GeminiOutcome(failure, transfer)
        } else if stream.isGarbled {
            self = .retry(after: nil, otherwise: .malformed)
        } else if stream.finishReason == nil {
            self = .retry(after: nil, otherwise: .busy)
        } else {
            self = GeminiOutcome(reason, stream)
        }
    }

    /// What an operator has to know of a call that gave no answer: for the log.
    public static func cause(_ stream: GeminiStream, _ transfer: Transfer) -> String {
        if let error = stream.error {
            "error \(error.code) \(error.status ?? ""): \(error.message.prefix(300))"
        } else if let reason = stream.blockReason {
            "blockReason \(reason.prefix(100))"
        } else if let failure = transfer.failure {
            "HTTP \(transfer.status), \(String(cString: curl_easy_strerror(failure)))"
        } else if stream.isGarbled {
            "HTTP \(transfer.status), an event that cannot be read"
        } else {
            "HTTP \(transfer.status), finishReason \(stream.finishReason?.prefix(100) ?? "missing")"
        }
    }

    private init(_ reason: FinishReason, _ stream: GeminiStream) {
        switch reason {
        case .continuation:
            // Without a token, or a word, it would go on for ever.
            self = stream.continuation != nil && stream.hasGrown ? .unfinished : .retry(after: nil, otherwise: .busy)
        case .malformed: self = .retry(after: nil, otherwise: .malformed)
        case _ where stream.hasText: self = .answered
        // Thinking can use up the whole allowance, and is paid for.
        case .maxTokens: self = .failed(.tooLong)
        default: self = .retry(after: nil, otherwise: .empty)
        }
    }

    private init(_ error: GeminiError) {
        switch error.code {
        case 429 where error.isDailyQuota: self = .held(.keyForModel, seconds: 3_600, otherwise: .quota)
        case 429: self = .held(.keyForModel, seconds: error.retryDelay, otherwise: .busy)
        case 408, 504: self = .retry(after: error.retryDelay, otherwise: .timeout)
        case 499, 500...599: self = .retry(after: error.retryDelay, otherwise: .busy)
        case 400 where error.message.contains("token count"), 413: self = .failed(.tooLong)
        case 400 where error.isOfFile: self = .failed(.fileRefused)
        default:
            // Of our own making, or the operator's: a wrong key, a model that is gone.
            Log.error(
                "Gemini refused a call",
                ["code": String(error.code), "status": error.status ?? "", "reason": String(error.message.prefix(500))])
            let isKey =
                error.details?.contains { $0.reason == "API_KEY_INVALID" } == true || [401, 403].contains(error.code)
            self =
                isKey || error.code == 404
                ? .held(isKey ? .key : .model, seconds: 60, otherwise: .broken)
                : .failed(error.code == 400 ? .refused(error) : .broken)
        }
    }

    private init(_ failure: CURLcode, _ transfer: Transfer) {
        switch failure {
        // Whoever still talks when the time is up would be cut off again.
        case CURLE_OPERATION_TIMEDOUT where transfer.hasFlowed: self = .failed(.timeout)
        case CURLE_OPERATION_TIMEDOUT: self = .retry(after: nil, otherwise: .timeout)
        case CURLE_WRITE_ERROR where transfer.isTooLong: self = .failed(.tooLong)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            Log.error("Gemini cannot be called", ["reason": String(cString: curl_easy_strerror(failure))])
            self = .failed(.broken)
        default: self = .retry(after: nil, otherwise: .busy)
        }
    }
}

/// Why a model stopped, or was not asked, by what follows from it. The words are an open set:
/// https://ai.google.dev/api/generate-content#FinishReason
enum FinishReason {
    case stop, maxTokens, continuation, safety, recitation, language, malformed, other

    init(_ word: String) {
        self =
            switch word {
            case "STOP": .stop
            case "MAX_TOKENS": .maxTokens
            case "CONTINUATION": .continuation
            case "SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
                "MODEL_ARMOR", "JAILBREAK":
                .safety
            case "RECITATION", "IMAGE_RECITATION": .recitation
            case "LANGUAGE": .language
            case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
                "MALFORMED_RESPONSE":
                .malformed
            default: .other
            }
    }

    /// What the user is told of an answer that was ended for good.
    var failure: Message.Failure? {
        switch self {
        case .safety: .blocked
        case .recitation: .recitation
        case .language: .language
        case .stop, .maxTokens, .continuation, .malformed, .other: nil
        }
    }
}

extension Message.Failure {
    static let promptBlocked = Message.Failure(
        code: "prompt_blocked", detail: "Gemini blocked this message. Edit it and send it again.", retryable: false)
    static let fileRefused = Message.Failure(
        code: "file_refused",
        detail: "Gemini cannot read an attached file. Edit the message and remove the file.", retryable: false)
    /// Of Google's words only the status is for the user.
    static func refused(_ error: GeminiError) -> Message.Failure {
        let isStatus = { (word: String) in
            (1...40).contains(word.utf8.count) && word.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == 0x5F }
        }
        let status = error.status.flatMap { isStatus($0) ? " (\($0))" : nil } ?? ""
        return Message.Failure(
            code: "request_refused",
            detail: "Gemini refused the request as invalid\(status). The cause has been logged.", retryable: false)
    }
    static let blocked = Message.Failure(
        code: "safety_blocked", detail: "Gemini declined to answer this for reasons of safety.", retryable: false)
    static let recitation = Message.Failure(
        code: "recitation_blocked",
        detail: "Gemini stopped because its answer repeated a published text. Try other words.", retryable: true)
    static let language = Message.Failure(
        code: "language_unsupported", detail: "Gemini does not support the language of this message.", retryable: false)
    static let malformed = Message.Failure(
        code: "answer_malformed", detail: "Gemini's answer could not be read. Please try again.", retryable: true)
    static let empty = Message.Failure(
        code: "answer_empty", detail: "Gemini gave an answer without any text. Please try again.", retryable: true)
    public static let busy = Message.Failure(
        code: "upstream_busy", detail: "Gemini is busy just now. Please try again in a moment.", retryable: true)
    public static let quota = Message.Failure(
        code: "upstream_quota", detail: "Today's allowance of calls to Gemini is used up.", retryable: false)
    static let tooLong = Message.Failure(
        code: "too_long", detail: "The conversation, or the answer to it, is too long for the model.", retryable: false)
    static let timeout = Message.Failure(
        code: "timeout", detail: "Gemini took too long to answer. Please try again.", retryable: true)
    /// For all that the user can do nothing about; the log has the cause.
    public static let broken = Message.Failure(
        code: "internal", detail: "The reply could not be made. The cause has been logged.", retryable: true)

    /// Whether what was said before may be kept: a filter has withdrawn it otherwise.
    public var keepsPartialText: Bool { code != Message.Failure.blocked.code }
}
