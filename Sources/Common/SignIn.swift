extension Response {
    /// The answer to everybody who has just signed in or been refreshed.
    /// - Parameters:
    ///   - json: the user's, as `user_json` has it.
    ///   - time: seconds since 1970 at which that was.
    public static func signIn(
        user: ID, json: String, refresh: RefreshToken, key: SigningKey = Settings.tokenKeys.signingKey(),
        time: Int = secondsSince1970()
    ) throws -> Response {
        let token = try Token(user: user, session: refresh.session, now: time).signed(with: key)
        return .json(
            """
            {"token":"\(token)","token_type":"Bearer","expires_in":\(Settings.accessTokenSeconds),\
            "refresh_token":"\(refresh.text(user: user))","user":\(json)}
            """)
    }
}

extension Problem {
    /// A number or a password that signs nobody in; which of the two, nobody is told.
    public static let credentialsInvalid = unauthorized(
        "credentials_invalid", "The number or the password is wrong.")
    /// The same of somebody who is signed in.
    public static let currentPasswordWrong = unauthorized("credentials_invalid", "The current password is wrong.")

    /// An address signs up too many.
    static func signupLimitReached(_ wait: SecondsToWait) -> Problem {
        Problem(
            429, "signup_limit_reached", "Too many sign-ups from this address. Try again in \(wait.count) seconds.",
            headers: [("Retry-After", String(wait.count))])
    }
}
