/// Sends a one-time password to the number of the request's body, within the limits of `count_code`.
///
/// Numbers with and without an account are treated alike, so that nobody finds out which is which: the worker, which sends
/// the code, drops those that nobody waits for.
public func sendOTP(for purpose: OTP.Purpose, _ request: Request, _ database: Database) throws -> Response {
    let mobile = try request.json(Addressee.self).mobile.reachable(in: database)
    let otp = OTP.random()
    let isShown = Settings.otpDelivery == "response"
    let sealed = isShown ? nil : otp.sealed(mobile: mobile, purpose: purpose)

    let outcome = try database.row(
        Outcome.self,
        """
        with counted as (
            select * from count_code(
                \(mobile), \(KeptLimits.keys(of: mobile))::text[], \(request.address)::inet, \(request.header("USER_AGENT")),
                \(Settings.otpResendSeconds)::int, \(Settings.otpPerAddressHour)::int, \(Settings.otpPerDay)::int)
        ), sent as (
            insert into otps as o (mobile, purpose, code_hash, expires_at, asked_from)
            select \(mobile), \(purpose.rawValue), \(otp.hash(mobile: mobile, purpose: purpose)),
                clock_timestamp() + make_interval(secs => \(OTP.seconds)::int), login_address_key(\(request.address)::inet)
            from counted where refusal is null
            on conflict (mobile, purpose) do update
            set code_hash = excluded.code_hash, attempts = 0, sent_at = now(), expires_at = excluded.expires_at,
                asked_from = excluded.asked_from, elsewhere = 0,
                superseded = case when o.expires_at > now() and o.attempts < \(OTP.tries)::int
                    then (o.code_hash || o.superseded)[1:\(OTP.tries)::int] else '{}' end
            returning o.mobile, o.purpose, o.expires_at
        ), queued as (
            insert into jobs (user_id, lane, id, kind, payload)
            select md5('otp:' || s.mobile)::uuid, j.id, j.id, 'otp', jsonb_build_object(
                'mobile', s.mobile, 'purpose', s.purpose, 'expires_at', s.expires_at, 'sealed', \(sealed)::text)
            from sent s cross join (select uuidv7(clock_timestamp()) as id) j
            where \(!isShown)::bool
        )
        select refusal, wait from counted
        """)
    guard let outcome else { throw Problem.internalError }
    if let refusal = outcome.refusal { throw Problem.otpRefused(refusal, wait: max(1, outcome.wait)) }
    if !isShown { Doorbell.bell.ring() }
    let shown = isShown ? ",\"otp\":\"\(otp.code)\"" : ""
    return .json("{\"expires_in\":\(OTP.seconds),\"resend_in\":\(outcome.wait)\(shown)}")
}

private struct Addressee: Decodable { let mobile: WrittenMobile }

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
