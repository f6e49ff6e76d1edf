import Common

/// That it is the owner who asks, and not whoever has their token.
struct Proof: Decodable {
    let password: Text<AnyRule>?
    let otp: EnteredOTP?

    enum CodingKeys: String, CodingKey { case password, otp }

    /// What never was a password is a wrong one; only what is no use to look at is refused.
    enum AnyRule: TextRule { static let length = 0...128 }
}

struct Account: Decodable {
    let mobile: Mobile
    let passwordHash: String?
    /// Seconds until a password may be tried again; 0 where it may be now, and is counted.
    let wait: Int

    enum CodingKeys: String, CodingKey {
        case mobile, wait
        case passwordHash = "password_hash"
    }
}

serve { request, database in
    let proof: Proof = try request.json()
    let caller = try request.caller()
    let account = try database.row(
        Account.self,
        """
        with caller as (\(caller.live) and \(RateLimit.account.allows))
        select u.mobile, u.password_hash, case when \(proof.password != nil)::bool then reserve_own_try(
            u.id, \(Settings.loginTries), \(Settings.loginWait), \(Settings.loginLongestWait)
        ) else 0 end as wait
        from caller join users u on u.id = caller.user_id
        """)
    guard let account else { throw Problem.sessionEnded }
    if let password = proof.password {
        guard account.wait == 0 else { throw Problem.loginTooSoon(seconds: account.wait) }
        guard try Password.matches(password.text, hash: account.passwordHash) else {
            throw Problem.unauthorized("credentials_invalid", "The password is wrong.")
        }
    } else if let otp = proof.otp {
        let outcome = try database.row(OTPTry.self, OTP.tried(otp, mobile: account.mobile, purpose: .signIn, request))
        guard let outcome, outcome.correct else { throw Problem.otpInvalid(outcome) }
    } else {
        throw Problem(
            422, "invalid", "password or otp is missing.",
            fields: [.init("or otp is missing", at: [Proof.CodingKeys.password])])
    }

    // Long conversations take their time: 520,000 messages of 205 MB took 1 s.
    let patient = Database(timeout: 35_000)
    let isGone = try patient.row(
        Bool.self,
        """
        with caller as (\(caller.live))
        select delete_account(user_id, \(KeptLimits.keys(of: account.mobile)[0])) from caller
        """)
    guard isGone == true else { throw Problem.sessionEnded }
    return Response(status: 204)
}
