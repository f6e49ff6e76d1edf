import CCurl
import Common

/// A text message with a one-time password.
public struct SMS: Encodable, Sendable {
    let id: ID
    let mobile: String
    let code: String
    /// RFC 3339.
    let expiresAt: String
    /// That the code is still good for.
    let seconds: Int
    let text: String

    enum CodingKeys: String, CodingKey {
        case id, mobile, code, text
        case expiresAt = "expires_at"
    }

    public init(id: ID, mobile: String, code: String, expiresAt: String, seconds: Int, text: String) {
        self.id = id
        self.mobile = mobile
        self.code = code
        self.expiresAt = expiresAt
        self.seconds = seconds
        self.text = text
    }
}

/// Who brings messages to phones, as OTP_DELIVERY says.
public enum SMSCarrier: Sendable {
    case log
    case twilio(Twilio)
    case webhook(OTPWebhook)

    /// Nil where codes are in the answers.
    public init?() {
        switch Settings.otpDelivery {
        case "log": self = .log
        case "twilio": self = .twilio(Twilio())
        case "webhook": self = .webhook(OTPWebhook())
        default: return nil
        }
        _ = Settings.tokenKeys.first(.otp)
    }

    /// What has to be asked of whom; nil for the log.
    public func request(_ sms: SMS) throws -> HTTPRequest? {
        switch self {
        case .log: nil
        case .twilio(let twilio): twilio.request(sms)
        case .webhook(let webhook): try webhook.request(sms)
        }
    }
}

/// What is known of a message after it was handed over.
public enum SMSOutcome {
    case sent
    /// Certainly not, and another try may do better.
    case notSent
    /// It may have been: there is no key by which a repeated one would be known.
    case unknown(String)
    /// No other try would do better.
    case refused(String)

    public init(status: Int, failure: CURLcode?, body: [UInt8]) {
        switch (failure, status) {
        case (CURLE_COULDNT_RESOLVE_HOST?, _), (CURLE_COULDNT_CONNECT?, _), (CURLE_SSL_CONNECT_ERROR?, _):
            self = .notSent
        case (CURLE_PEER_FAILED_VERIFICATION?, _), (CURLE_URL_MALFORMAT?, _), (CURLE_UNSUPPORTED_PROTOCOL?, _),
            (CURLE_SSL_CACERT_BADFILE?, _):
            self = .refused(failure.map { String(cString: curl_easy_strerror($0)) } ?? "")
        case (let failure?, _): self = .unknown(String(cString: curl_easy_strerror(failure)))
        case (nil, 200...299): self = .sent
        case (nil, 429): self = .notSent
        case (nil, 408), (nil, 500...): self = .unknown("HTTP \(status)")
        default:
            // Twilio's own word for it is a number; its message may hold the phone's.
            struct Refusal: Decodable { let code: Int }
            let code = (try? JSON.decode(Refusal.self, body)).map { ", code \($0.code)" } ?? ""
            self = .refused("HTTP \(status)\(code)")
        }
    }
}
