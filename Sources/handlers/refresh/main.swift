import Common

struct Renewal: Decodable {
    let refreshToken: String
    enum CodingKeys: String, CodingKey { case refreshToken = "refresh_token" }
}

struct Outcome: Decodable {
    /// As `refresh_session` has it.
    let verdict: String
    /// Of the session's current token, and the seconds since 1970 at which it was made.
    let hash: String?
    let time: Int?
    let user: String?
}

serve { request, database in
    let input: Renewal = try request.json()
    let (user, used) = try RefreshToken.read(input.refreshToken)

    let outcome = try database.row(
        Outcome.self,
        """
        with refreshed as (
            select * from refresh_session(
                \(user), \(used.session), \(used.generation), \(used.hash), \(used.isGenuine()), \(used.next().hash),
                \(RefreshToken.overlapSeconds), \(Settings.sessionSeconds), \(request.address)::inet,
                \(request.header("USER_AGENT")))
        ), recorded as (
            \(SecurityEvent.refreshReused.record(
                for: "select \(user)::uuid as user_id, verdict from refreshed where verdict = 'reused'", request,
                detail: "jsonb_build_object('session_id', \(used.session)::uuid)"))
        )
        select r.verdict, r.current_hash as hash, floor(extract(epoch from r.at))::bigint as time, \(User.json) as user
        from refreshed r left join users u on u.id = \(user)
        """)
    switch outcome?.verdict {
    case "rotated", "repeated": break
    case "reused":
        throw Problem.unauthorized(
            "refresh_reused", "The refresh token was used before, so its session has been ended; sign in again.")
    case "ended": throw Problem.sessionEnded
    default: throw RefreshToken.invalid
    }
    // Another process, with another first key, may have made the current token.
    guard let key = Settings.tokenKeys.first(where: { used.next(key: $0).hash == outcome?.hash }),
        let time = outcome?.time, let json = outcome?.user
    else { throw RefreshToken.invalid }
    return try .signIn(user: user, json: json, refresh: used.next(key: key), key: key, time: time)
}
