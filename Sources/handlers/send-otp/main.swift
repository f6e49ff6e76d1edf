import Common

struct Addressee: Decodable { let mobile: Mobile }

struct Outcome: Decodable {
    let sent: Bool
    /// Seconds until another may be sent.
    let wait: Int
}

// Numbers with and without an account are treated alike, so that nobody finds out which is which.
serve { request, database in
    let mobile = try request.json(Addressee.self).mobile
    let otp = OTP.random()

    let outcome = try database.row(
        Outcome.self,
        """
        with sent as (
            insert into otps as o (mobile, purpose, code_hash, expires_at)
            values (
                \(mobile), 'sign_in', \(otp.hash(mobile: mobile, purpose: .signIn)),
                now() + make_interval(secs => \(OTP.seconds)::int)
            )
            on conflict (mobile, purpose) do update
            set code_hash = excluded.code_hash, attempts = 0, sent_at = now(), expires_at = excluded.expires_at
            where o.sent_at <= now() - make_interval(secs => \(Settings.otpResendSeconds)::int)
            returning mobile
        )
        select exists (select from sent) as sent, coalesce((
            select ceil(extract(epoch from o.sent_at - now()) + \(Settings.otpResendSeconds)::int)::int
            from otps o where o.mobile = \(mobile) and o.purpose = 'sign_in'
        ), \(Settings.otpResendSeconds)::int) as wait
        """)
    guard let outcome, outcome.sent else {
        let seconds = max(1, outcome?.wait ?? 1)
        throw Problem(
            429, "otp_too_soon", "A code was sent a moment ago; another can be sent in \(seconds) seconds.",
            headers: [("Retry-After", String(seconds))], extra: ["resend_in": seconds])
    }
    if Settings.otpDelivery == "log" {
        Log.error("one-time password", ["mobile": mobile.digits, "code": otp.code])
    }
    let shown = Settings.otpDelivery == "response" ? ",\"otp\":\"\(otp.code)\"" : ""
    return .json("{\"expires_in\":\(OTP.seconds),\"resend_in\":\(Settings.otpResendSeconds)\(shown)}")
}
