import Common
import Glibc

/// A program of the operator's that sends codes.
///
/// It gets a POST of `{id, mobile, text, code, expires_at}` with `Webhook-Signature: t=SECONDS,v1=HEX`: HMAC-SHA256 of
/// `SECONDS.BODY` under `OTP_WEBHOOK_SECRET`. The same `id` may come twice.
public struct OTPWebhook: Sendable {
    private let url = Settings.required("OTP_WEBHOOK_URL")
    private let secret = Array(Settings.required("OTP_WEBHOOK_SECRET").utf8)

    func request(_ sms: SMS) throws -> HTTPRequest {
        let body = try JSON.encode(sms)
        let time = String(Glibc.time(nil))
        let signature = Sodium.hmac(Array("\(time).".utf8) + body, key: secret).hex
        return HTTPRequest(
            url: url,
            headers: [("Content-Type", "application/json"), ("Webhook-Signature", "t=\(time),v1=\(signature)")],
            body: body, timeout: 10_000, silence: 10, mayRepeat: false)
    }
}
