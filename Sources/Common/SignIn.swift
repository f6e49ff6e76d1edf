extension RefreshToken {
    /// Inserts the session that this is the first token of, for the `user_id` that `users` selects, and records it:
    /// the part of a statement that follows `with …,` and names `session`.
    /// - Parameter means: what they signed in by, `otp` or `password`.
    public func session(for users: SQL, by means: String, _ request: Request) -> SQL {
        """
        session as (
            insert into sessions (user_id, id, signed_in_by, refresh_hash, expires_at, ip, user_agent)
            select o.user_id, \(session), \(means), \(hash), now() + make_interval(secs => \(Settings.sessionSeconds)::int),
                \(request.address)::inet, left(\(request.header("USER_AGENT")), 500)
            from (\(users)) o
            returning user_id
        ), signed_in as (\(SecurityEvent.signedIn.record(for: "select user_id from session", request)))
        """
    }
}

extension Response {
    /// The answer to everybody who has just signed in or been refreshed.
    /// - Parameters:
    ///   - json: the user's, as `User.json` has it.
    ///   - time: seconds since 1970 at which that was.
    public static func signIn(
        user: ID, json: String, refresh: RefreshToken, key: TokenKey = .signing(), time: Int = secondsSince1970()
    ) throws -> Response {
        let token = try Token(user: user, session: refresh.session, now: time).signed(with: key)
        return .json(
            """
            {"token":"\(token)","token_type":"Bearer","expires_in":\(Settings.accessTokenSeconds),\
            "refresh_token":"\(refresh.text(user: user))","user":\(json)}
            """)
    }
}
