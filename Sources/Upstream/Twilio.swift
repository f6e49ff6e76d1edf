import Common

/// Twilio's Messages API. Source: https://www.twilio.com/docs/messaging/api/message-resource
public struct Twilio: Sendable {
    private let url: String
    private let authorization: String
    /// The parameter that names the sender, and its value.
    private let sender: (String, String)

    /// As the environment says.
    init() {
        let account = Settings.required("TWILIO_ACCOUNT_SID")
        let base = Settings.text("TWILIO_BASE_URL", default: "https://api.twilio.com")
        url = "\(base)/2010-04-01/Accounts/\(account)/Messages.json"
        authorization = "Basic " + Sodium.base64("\(account):\(Settings.required("TWILIO_AUTH_TOKEN"))".utf8)
        let service = Settings.text("TWILIO_MESSAGING_SERVICE_SID", default: "")
        sender = service.isEmpty ? ("From", Settings.required("TWILIO_FROM")) : ("MessagingServiceSid", service)
    }

    func request(_ sms: SMS) -> HTTPRequest {
        // What Twilio cannot send while the code is good it is not to send.
        let form = [
            ("To", sms.mobile), sender, ("Body", sms.text), ("ValidityPeriod", String(max(1, sms.seconds))),
        ]
        return HTTPRequest(
            url: url,
            headers: [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", authorization)],
            body: Array(formEncoded(form).utf8), timeout: 10_000, silence: 10, mayRepeat: false)
    }
}
