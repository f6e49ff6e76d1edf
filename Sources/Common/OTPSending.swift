/// Sends a one-time password to the number of the request's body, within the limits of `count_code`.
///
/// Numbers with and without an account are treated alike, so that nobody finds out which is which: the worker, which sends
/// the code, drops those that nobody waits for.
/// - Parameters:
///   - function: the endpoint's, which stores the code and has it sent (`send_code`).
///   - numberFunction: the endpoint's that finds how a number is stored (`WrittenMobile.stored`).
public func sendOTP(
    for purpose: OTP.Purpose, by function: StaticString, numberBy numberFunction: StaticString, _ request: Request,
    _ database: Database
) throws -> Response {
    let mobile = try request.json(Addressee.self).mobile.reachable(by: numberFunction, in: database)
    let otp = OTP.random()
    let isShown = Settings.otpDelivery == "response"
    let sealed = isShown ? nil : otp.sealed(mobile: mobile, purpose: purpose)
    let sent: SecondsToWait = try database.call(
        function, mobile, KeptLimits.keys(of: mobile), request.address, request.header("USER_AGENT"),
        Settings.otpResendSeconds, Settings.otpPerAddressHour, Settings.otpPerDay,
        otp.hash(mobile: mobile, purpose: purpose), OTP.seconds, sealed)
    if !isShown { Doorbell.bell.ring() }
    let shown = isShown ? ",\"otp\":\"\(otp.code)\"" : ""
    return .json("{\"expires_in\":\(OTP.seconds),\"resend_in\":\(sent.count)\(shown)}")
}

private struct Addressee: Decodable { let mobile: WrittenMobile }

/// Seconds that have to pass before something may be done again.
struct SecondsToWait: Decodable {
    let count: Int
    enum CodingKeys: String, CodingKey { case count = "wait" }
}

extension Problem {
    /// A limit is in the way of a code.
    static func otpRefused(_ code: String, _ wait: SecondsToWait) -> Problem {
        let wait = max(1, wait.count)
        let headers = [("Retry-After", String(wait))]
        let extra = ["resend_in": wait]
        switch code {
        case "otp_too_soon":
            let detail = "A code was sent a moment ago; another can be sent in \(wait) seconds."
            return Problem(429, code, detail, headers: headers, extra: extra)
        case "otp_limit":
            let detail = "Too many codes were asked for; another can be sent in \(wait) seconds."
            return Problem(429, code, detail, headers: headers, extra: extra)
        default:
            Log.error("no code sent: those of today are used up", ["OTP_PER_DAY": String(Settings.otpPerDay)])
            let detail = "No more codes can be sent today."
            return Problem(503, code, detail, headers: headers, extra: extra)
        }
    }
}
