import Common

struct Guess: Decodable {
    let mobile: Mobile
    let otp: String
}

struct Outcome: Decodable {
    let correct: Bool
    let attemptsLeft: Int
    let userID: ID?
    let user: String?

    enum CodingKeys: String, CodingKey {
        case correct, user
        case attemptsLeft = "attempts_left"
        case userID = "user_id"
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
        ), u as (
            update users set mobile_verified_at = coalesce(mobile_verified_at, now())
            where mobile = \(guess.mobile) and (select correct from tried)
            returning *
        ), \(refresh.session(for: "select id as user_id from u", request))
        select tried.correct, tried.attempts_left, session.user_id, \(User.json) as user
        from tried left join u on true left join session on true
        """)
    guard let outcome, let user = outcome.userID, let json = outcome.user else {
        // The right code of a number without an account is a wrong one too.
        let left = outcome.map { $0.correct ? 0 : $0.attemptsLeft } ?? 0
        throw Problem(401, "otp_invalid", "The code is wrong, used or over.", extra: ["attempts_left": left])
    }
    return try .signIn(user: user, json: json, refresh: refresh)
}
