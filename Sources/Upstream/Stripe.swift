import CCurl
import Common

/// Stripe's API, v1, as the environment says. Source: https://docs.stripe.com/api
public struct Stripe: Sendable {
    private let base = Settings.text("STRIPE_BASE_URL", default: "https://api.stripe.com")
    private let version = Settings.text("STRIPE_VERSION", default: "2026-10-28.endive")

    /// Nil where no key is set.
    public init?() {
        if Settings.stripeKey.isEmpty { return nil }
    }

    public enum Method: String, Sendable { case get = "GET", post = "POST", delete = "DELETE" }

    /// - Parameters:
    ///   - path: with its leading slash, `/v1/customers`.
    ///   - form: of a POST its body, else its query.
    ///   - key: under which Stripe does a POST once and gives the same answer again, for a day at least.
    ///   - timeout: milliseconds for all of it.
    public func request(
        _ method: Method, _ path: String, _ form: [(String, String)] = [], key: String? = nil, timeout: Int
    ) -> HTTPRequest {
        let form = formEncoded(form)
        var headers = [("Authorization", "Bearer \(Settings.stripeKey)"), ("Stripe-Version", version)]
        if method == .post { headers.append(("Content-Type", "application/x-www-form-urlencoded")) }
        if let key { headers.append(("Idempotency-Key", key)) }
        let query = method == .post || form.isEmpty ? "" : "?\(form)"
        return HTTPRequest(
            method.rawValue, url: base + path + query, headers: headers, body: method == .post ? Array(form.utf8) : [],
            timeout: max(1, timeout), silence: 30)
    }
}

/// Why Stripe did not do what it was asked to. None of them says more than may be logged.
public enum StripeError: Error, Sendable {
    /// No answer, or not all of it: it may have been done.
    case silent(String)
    /// Too many requests (429): it was not done.
    case busy(String)
    /// Another request with the same key is under way (409).
    case underWay(String)
    /// Stripe failed (5xx), and says so again to whoever asks under the same key.
    case failed(String)
    /// What was asked about is not there: of another account or mode, or deleted.
    case missing(parameter: String?, String)
    /// Anything else that is for the operator to mend: a wrong key, a price that there is not.
    case refused(String)

    public var reason: String {
        switch self {
        case .silent(let reason), .busy(let reason), .underWay(let reason), .failed(let reason),
            .missing(_, let reason),
            .refused(let reason):
            reason
        }
    }

    /// Whether the same key would only bring the same answer.
    public var wantsAnotherKey: Bool {
        switch self {
        case .silent, .busy, .underWay: false
        case .failed, .missing, .refused: true
        }
    }
}

extension Transfer {
    /// The JSON of Stripe's answer, once this has ended.
    public func stripeAnswer<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        if let failure { throw StripeError.silent(String(cString: curl_easy_strerror(failure))) }
        let body = take()
        if (200...299).contains(status) {
            do { return try JSON.decode(type, body) } catch {
                throw StripeError.refused("an unexpected answer: \(error)")
            }
        }
        let fault = try? JSON.decode(StripeFault.self, body).error
        let words = [fault?.type, fault?.code, fault?.param, header("request-id")].compactMap { $0 }
        let reason = "HTTP \(status) \(words.joined(separator: " "))"
        switch (status, fault?.code) {
        case (429, _): throw StripeError.busy(reason)
        case (409, _): throw StripeError.underWay(reason)
        case (500..., _): throw StripeError.failed(reason)
        case (_, "resource_missing"): throw StripeError.missing(parameter: fault?.param, reason)
        default: throw StripeError.refused(reason)
        }
    }
}

/// The body of an error. Its message is for people, and may hold what is no one else's business.
private struct StripeFault: Decodable {
    struct Words: Decodable { let type, code, param: String? }
    let error: Words
}
