import Common

struct Reset: Decodable {
    let mobile: WrittenMobile
    let otp: EnteredOTP
    let newPassword: NewPassword

    enum CodingKeys: String, CodingKey {
        case mobile, otp
        case newPassword = "new_password"
    }
}

struct Outcome: Decodable {
    let guess: OTPTry
    let isDone: Bool

    enum CodingKeys: String, CodingKey { case isDone = "is_done" }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        guess = try OTPTry(from: decoder)
        isDone = try row.decode(Bool.self, forKey: .isDone)
    }
}

serve { request, database in
    let reset: Reset = try request.json()
    let mobile = try reset.mobile.stored(in: database)
    // Before it is known whether the code is right, so that a code is used up by the statement that sets the password.
    let passwordHash = try Password.hash(reset.newPassword.text)

    let outcome = try database.transaction {
        let outcome = try database.row(
            Outcome.self,
            """
            with tried as (\(OTP.tried(reset.otp, mobile: mobile, purpose: .reset, request))), account as (
                update users
                set password_hash = \(passwordHash), mobile_verified_at = coalesce(mobile_verified_at, now()),
                    -- Anybody may have set the name of a number that nobody had proven.
                    username = case when mobile_verified_at is not null then username end
                where mobile = \(mobile) and (select correct from tried)
                returning id as user_id
            ), recorded as (\(SecurityEvent.passwordReset.record(for: "select user_id from account", request)))
            select exists (select from account) as is_done, tried.*,
                (select forget_failures(\(mobile), user_id) from account),
                (select \(KeptLimits.resumed("user_id", mobile)) from account)
            from tried
            """)
        // A statement of its own, to see who signed in by the old password while the account's row was waited for.
        if outcome?.isDone == true {
            try database.execute(
                """
                update sessions s set ended_at = now(), end_reason = 'password_reset' from users u
                where u.mobile = \(mobile) and s.user_id = u.id and s.ended_at is null
                """)
        }
        return outcome
    }
    guard let outcome, outcome.isDone else { throw Problem.otpInvalid(outcome?.guess) }
    return Response(status: 204)
}
