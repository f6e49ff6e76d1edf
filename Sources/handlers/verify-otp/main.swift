import Common

struct Guess: Decodable {
    let mobile: WrittenMobile
    let otp: EnteredOTP
    /// For an account whose number is proven by this; ignored later.
    let username: Username?
    let password: NewPassword?
}

struct Outcome: Decodable {
    let guess: OTPTry
    let userID: ID?
    let user: String?

    enum CodingKeys: String, CodingKey {
        case user
        case userID = "user_id"
    }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        guess = try OTPTry(from: decoder)
        userID = try row.decodeIfPresent(ID.self, forKey: .userID)
        user = try row.decodeIfPresent(String.self, forKey: .user)
    }
}

serve { request, database in
    let guess: Guess = try request.json()
    let mobile = try guess.mobile.stored(in: database)
    let refresh = RefreshToken()
    let passwordHash = try guess.password.map { try Password.hash($0.text) }

    // Anybody may have signed this number up. Only what is sent by whoever proves the number counts, whatever was set before.
    let outcome = try database.row(
        Outcome.self,
        """
        with tried as (\(OTP.tried(guess.otp, mobile: mobile, purpose: .signIn, request))), u as (
            update users set mobile_verified_at = coalesce(mobile_verified_at, now()),
                username = case when mobile_verified_at is null then \(guess.username) else username end,
                password_hash = case when mobile_verified_at is null then \(passwordHash) else password_hash end
            where mobile = \(mobile) and (select correct from tried)
            returning *
        ), forgiven as (
            delete from login_failures f using u where f.key = 'mobile:' || u.mobile
        ), \(refresh.session(for: "select id as user_id from u", by: "otp", request))
        select tried.*, session.user_id, \(User.json) as user,
            \(KeptLimits.resumed("session.user_id", mobile))
        from tried left join u on true left join session on true
        """)
    guard let outcome, let user = outcome.userID, let json = outcome.user else {
        throw Problem.otpInvalid(outcome?.guess)
    }
    return try .signIn(user: user, json: json, refresh: refresh)
}
