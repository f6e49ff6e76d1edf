/// Sends a one-time password to the number of the request's body, within the limits of `count_otp_send`.
///
/// Numbers with and without an account are treated alike, so that nobody finds out which is which.
public func sendOTP(for purpose: OTP.Purpose, _ request: Request, _ database: Database) throws -> Response {
    let mobile = try request.json(Addressee.self).mobile.mobile
    let otp = OTP.random()

    let outcome = try database.row(
        Outcome.self,
        """
        with counted as (
            select * from count_otp_send(
                \(mobile), \(request.address)::inet, \(Settings.otpResendSeconds)::int,
                \(Settings.otpPerAddressHour)::int, \(Settings.otpPerDay)::int)
        ), sent as (
            insert into otps (mobile, purpose, code_hash, expires_at)
            select \(mobile), \(purpose.rawValue), \(otp.hash(mobile: mobile, purpose: purpose)),
                clock_timestamp() + make_interval(secs => \(OTP.seconds)::int)
            from counted where refusal is null
            on conflict (mobile, purpose) do update
            set code_hash = excluded.code_hash, attempts = 0, sent_at = now(), expires_at = excluded.expires_at
        )
        select refusal, wait from counted
        """)
    guard let outcome else { throw Problem.internalError }
    if let refusal = outcome.refusal { throw Problem.otpRefused(refusal, wait: max(1, outcome.wait)) }
    if Settings.otpDelivery == "log" {
        Log.error("one-time password", ["mobile": mobile.digits, "code": otp.code])
    }
    let shown = Settings.otpDelivery == "response" ? ",\"otp\":\"\(otp.code)\"" : ""
    return .json("{\"expires_in\":\(OTP.seconds),\"resend_in\":\(outcome.wait)\(shown)}")
}

private struct Addressee: Decodable { let mobile: ReachableMobile }

private struct Outcome: Decodable {
    /// The code of the limit that is in the way.
    let refusal: String?
    /// Seconds until another may be sent.
    let wait: Int
}

extension Problem {
    fileprivate static func otpRefused(_ code: String, wait: Int) -> Problem {
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
