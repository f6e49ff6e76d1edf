import CCurl
import Common

/// What came of one call.
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
    ///   - status: the HTTP status, 0 without an answer.
    ///   - failure: what libcurl has to say, nil for a whole answer.
    public init(_ stream: GeminiStream, status: Int, failure: CURLcode?) {
        if let error = stream.error {
            self = GeminiOutcome(error)
        } else if status != 0, status != 200 {
            self = GeminiOutcome(GeminiError(code: status, message: "", status: nil, details: nil))
        } else if stream.blockReason != nil {
            self = .failed(.blocked)
        } else if let reason = stream.finishReason {
            self = GeminiOutcome(finishReason: reason, stream: stream)
        } else if let failure {
            self = GeminiOutcome(failure)
        } else {
            // An end without a reason is an answer cut short.
            self = .retry(after: nil, otherwise: .busy)
        }
    }

    private init(finishReason: String, stream: GeminiStream) {
        switch finishReason {
        case "CONTINUATION" where stream.continuation != nil: self = .unfinished
        case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
            self = .failed(.blocked)
        case _ where !stream.text.isEmpty: self = .answered
        // Thinking can use up the whole allowance, and is paid for.
        case "MAX_TOKENS": self = .failed(.tooLong)
        default: self = .retry(after: nil, otherwise: .broken)
        }
    }

    private init(_ error: GeminiError) {
        switch error.code {
        case 429 where error.isDailyQuota: self = .held(.keyForModel, seconds: 3_600, otherwise: .quota)
        case 429: self = .held(.keyForModel, seconds: error.retryDelay, otherwise: .busy)
        case 408, 504: self = .retry(after: error.retryDelay, otherwise: .timeout)
        case 499, 500...599: self = .retry(after: error.retryDelay, otherwise: .busy)
        case 400 where error.message.contains("token count"), 413: self = .failed(.tooLong)
        default:
            // Of our own making, or the operator's: a wrong key, a model that is gone.
            Log.error(
                "Gemini refused a call",
                ["code": String(error.code), "status": error.status ?? "", "reason": String(error.message.prefix(500))])
            let isKey =
                error.details?.contains { $0.reason == "API_KEY_INVALID" } == true || [401, 403].contains(error.code)
            self =
                isKey || error.code == 404
                ? .held(isKey ? .key : .model, seconds: 60, otherwise: .broken) : .failed(.broken)
        }
    }

    private init(_ failure: CURLcode) {
        let reason = String(cString: curl_easy_strerror(failure))
        switch failure {
        case CURLE_OPERATION_TIMEDOUT: self = .retry(after: nil, otherwise: .timeout)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            Log.error("Gemini cannot be called", ["reason": reason])
            self = .failed(.broken)
        default: self = .retry(after: nil, otherwise: .busy)
        }
    }
}

extension Message.Failure {
    static let blocked = Message.Failure(
        code: "safety_blocked", detail: "Gemini declined to answer this for reasons of safety.", retryable: false)
    public static let busy = Message.Failure(
        code: "upstream_busy", detail: "Gemini is busy just now. Please try again in a moment.", retryable: true)
    public static let quota = Message.Failure(
        code: "upstream_quota", detail: "Today's allowance of calls to Gemini is used up.", retryable: false)
    static let tooLong = Message.Failure(
        code: "too_long", detail: "The conversation, or the answer to it, is too long for the model.", retryable: false)
    static let timeout = Message.Failure(
        code: "timeout", detail: "Gemini took too long to answer. Please try again.", retryable: true)
    /// For all that the user can do nothing about.
    public static let broken = Message.Failure(
        code: "internal", detail: "The reply could not be made. The cause has been logged.", retryable: true)
}
