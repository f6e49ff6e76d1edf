import Common

struct Guess: Decodable {
    let mobile: Mobile
    let otp: String
}

struct Outcome: Decodable {
    let correct: Bool
    let attemptsLeft: Int
    let sessionID: ID?
    let user: User?

    enum CodingKeys: String, CodingKey {
        case correct
        case attemptsLeft = "attempts_left"
        case sessionID = "session_id"
    }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        correct = try row.decode(Bool.self, forKey: .correct)
        attemptsLeft = try row.decode(Int.self, forKey: .attemptsLeft)
        sessionID = try row.decodeIfPresent(ID.self, forKey: .sessionID)
        user = try Found<User>(from: decoder).value
    }
}

serve { request, database in
    let guess: Guess = try request.json()
    let hashes = OTP.hashes(of: guess.otp, mobile: guess.mobile, purpose: .signIn)
    let refresh = RefreshToken()

    // A try is counted and judged by one update of one row, so that tries at the same time are counted too. A code
    // that was right is over at once.
    let outcome = try database.row(
        Outcome.self,
        """
        with tried as (
            update otps set attempts = attempts + 1,
                expires_at = case when code_hash = any(\(hashes)::text[]) then '-infinity' else expires_at end
            where mobile = \(guess.mobile) and purpose = 'sign_in' and attempts < \(OTP.tries)::int and expires_at > now()
            returning code_hash = any(\(hashes)::text[]) as correct, \(OTP.tries)::int - attempts as attempts_left
        ), signed_in as (
            update users set mobile_verified_at = coalesce(mobile_verified_at, now())
            where mobile = \(guess.mobile) and (select correct from tried)
            returning *
        ), session as (
            insert into sessions (user_id, refresh_hash, expires_at, ip, user_agent)
            select id, \(refresh.hash), now() + make_interval(secs => \(Settings.sessionSeconds)::int),
                \(request["REMOTE_ADDR"])::inet, left(\(request.header("USER_AGENT")), 500)
            from signed_in
            returning id as session_id
        )
        select tried.correct, tried.attempts_left, session.session_id, \(User.columns)
        from tried left join signed_in u on true left join session on true
        """)
    guard let user = outcome?.user, let session = outcome?.sessionID else {
        throw Problem(
            401, "otp_invalid", "The code is wrong, used or over.",
            extra: ["attempts_left": outcome.map { $0.correct ? 0 : $0.attemptsLeft } ?? 0])
    }
    return try .json(SignIn(user: user, session: session, refresh: refresh))
}
