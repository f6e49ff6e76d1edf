import Common

struct Addressee: Decodable { let mobile: Mobile }

struct Sent: Encodable {
    let expiresIn = OTP.seconds
    let resendIn = Settings.otpResendSeconds
    let otp: String?

    enum CodingKeys: String, CodingKey {
        case otp
        case expiresIn = "expires_in"
        case resendIn = "resend_in"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(expiresIn, forKey: .expiresIn)
        try container.encode(resendIn, forKey: .resendIn)
        if let otp { try container.encode(otp, forKey: .otp) }
    }
}

struct Wait: Decodable {
    let sent: Bool
    let seconds: Int
}

// Numbers with and without an account are treated alike, so that nobody finds out which is which.
serve { request, database in
    let mobile = try request.json(Addressee.self).mobile
    let otp = OTP.random()

    let outcome = try database.row(
        Wait.self,
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
        ), 0) as seconds
        """)
    guard let outcome, outcome.sent else {
        let seconds = max(1, outcome?.seconds ?? Settings.otpResendSeconds)
        throw Problem(
            429, "otp_too_soon", "A code was sent a moment ago; wait \(seconds) seconds to ask for another.",
            headers: [("Retry-After", String(seconds))], extra: ["resend_in": seconds])
    }
    if Settings.otpDelivery == "log" {
        Log.error("one-time password", ["mobile": mobile.digits, "code": otp.code])
    }
    return try .json(Sent(otp: Settings.otpDelivery == "response" ? otp.code : nil))
}
