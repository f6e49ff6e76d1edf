/// An error as Google's APIs answer it.
struct GoogleError: Error, Encodable {
    /// One of the `google.rpc` messages; which one decides which members it has.
    struct Detail: Encodable {
        struct Violation: Encodable {
            let quotaMetric: String
            let quotaId: String
            let quotaDimensions: [String: String]
            let quotaValue: String
        }

        struct Link: Encodable {
            let description: String
            let url: String
        }

        enum CodingKeys: String, CodingKey {
            case type = "@type"
            case retryDelay, violations, links, reason, domain, metadata, locale, message
        }

        let type: String
        var retryDelay: String?
        var violations: [Violation]?
        var links: [Link]?
        var reason: String?
        var domain: String?
        var metadata: [String: String]?
        var locale: String?
        var message: String?

        static func retry(after delay: String) -> Detail {
            Detail(type: "type.googleapis.com/google.rpc.RetryInfo", retryDelay: delay)
        }
    }

    let code: Int
    let message: String
    let status: String
    var details: [Detail]?

    var envelope: [String: GoogleError] { ["error": self] }
}

extension GoogleError {
    static func invalid(_ message: String) -> GoogleError {
        GoogleError(code: 400, message: message, status: "INVALID_ARGUMENT")
    }

    static let noSuchMethod = GoogleError(code: 404, message: "Method not found.", status: "NOT_FOUND")

    static func noSuchModel(_ model: String, version: String) -> GoogleError {
        GoogleError(
            code: 404,
            message: "models/\(model) is not found for API version \(version), or is not supported for "
                + "generateContent. Call ListModels to see the list of available models and their supported methods.",
            status: "NOT_FOUND")
    }

    static let missingKey = GoogleError(
        code: 403,
        message: "Method doesn't allow unregistered callers (callers without established identity). Please use API Key "
            + "or other form of API consumer identity to call this API.",
        status: "PERMISSION_DENIED")

    static let invalidKey: GoogleError = {
        let message = "API key not valid. Please pass a valid API key."
        var error = invalid(message)
        error.details = [
            Detail(
                type: "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID", domain: "googleapis.com",
                metadata: ["service": "generativelanguage.googleapis.com"]),
            Detail(type: "type.googleapis.com/google.rpc.LocalizedMessage", locale: "en-US", message: message),
        ]
        return error
    }()

    /// Nil for a code that the sandbox cannot play.
    static func plain(code: Int) -> GoogleError? {
        let (status, message): (String, String)
        switch code {
        case 400: (status, message) = ("INVALID_ARGUMENT", "Request contains an invalid argument.")
        case 401: (status, message) = ("UNAUTHENTICATED", "Request had invalid authentication credentials.")
        case 403: (status, message) = ("PERMISSION_DENIED", "The caller does not have permission")
        case 404: (status, message) = ("NOT_FOUND", "Requested entity was not found.")
        case 429: (status, message) = ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")
        case 500: (status, message) = ("INTERNAL", "An internal error has occurred. Please retry.")
        case 502: (status, message) = ("UNAVAILABLE", "Bad gateway.")
        case 503: (status, message) = ("UNAVAILABLE", "The model is overloaded. Please try again later.")
        case 504: (status, message) = ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete.")
        default: return nil
        }
        return GoogleError(code: code, message: message, status: status)
    }

    enum Quota: String {
        case perMinute = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
        case perDay = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    }

    /// `delay` always stands in the message; `withRetryInfo` says whether also where a program should look for it.
    static func exhausted(_ quota: Quota, model: String, delay: String, withRetryInfo: Bool) -> GoogleError {
        let metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
        let limit = quota == .perDay ? "250" : "10"
        let failure = Detail(
            type: "type.googleapis.com/google.rpc.QuotaFailure",
            violations: [
                .init(
                    quotaMetric: metric, quotaId: quota.rawValue,
                    quotaDimensions: ["location": "global", "model": model], quotaValue: limit)
            ])
        let help = Detail(
            type: "type.googleapis.com/google.rpc.Help",
            links: [
                .init(
                    description: "Learn more about Gemini API quotas",
                    url: "https://ai.google.dev/gemini-api/docs/rate-limits")
            ])
        return GoogleError(
            code: 429,
            message: """
                You exceeded your current quota, please check your plan and billing details. For more information on \
                this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.
                * Quota exceeded for metric: \(metric), limit: \(limit), model: \(model)
                Please retry in \(delay).
                """,
            status: "RESOURCE_EXHAUSTED", details: [failure, help] + (withRetryInfo ? [.retry(after: delay)] : []))
    }
}
