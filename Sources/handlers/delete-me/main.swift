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
    let number: Mobile
    let hash: String?
    let standing: Standing?
}

serve { request, database in
    let proof: Proof = try request.json()
    let caller = try request.caller()
    let account: Account = try database.call(
        "delete_me_begin", caller, RateLimit.account.perMinute, proof.password != nil, Settings.loginTries,
        Settings.loginWait, Settings.loginLongestWait)
    return try request.counted(account.standing) {
        if let password = proof.password {
            guard try Password.matches(password.text, hash: account.hash) else {
                throw Problem.unauthorized("credentials_invalid", "The password is wrong.")
            }
        } else if let otp = proof.otp {
            let hashes = OTP.hashes(of: otp, mobile: account.number, purpose: .signIn)
            let _: Done = try database.call("delete_me_code", caller, hashes, request.address)
        } else {
            throw Problem(
                422, "invalid", "password or otp is missing.",
                fields: [.init("or otp is missing", at: [Proof.CodingKeys.password])])
        }
        // Long conversations take their time: 520,000 messages of 205 MB took 1 s.
        let patient = Database(timeout: 35_000)
        let done: Done = try patient.call("delete_me", caller, KeptLimits.keys(of: account.number)[0])
        return .done(done)
    }
}
