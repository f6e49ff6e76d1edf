import Common

struct Renewal: Decodable {
    let refreshToken: String
    enum CodingKeys: String, CodingKey { case refreshToken = "refresh_token" }
}

struct Renewed: Decodable {
    /// Of the session's current token, and the seconds since 1970 at which it was made.
    let hash: String
    let seconds: Int
    /// The user's.
    let json: String
}

serve { request, database in
    let input: Renewal = try request.json()
    let (user, used) = try RefreshToken.read(input.refreshToken)
    let renewed: Renewed = try database.call(
        "refresh", user, used.session, used.generation, used.hash, used.isGenuine(), used.next().hash,
        RefreshToken.overlapSeconds, Settings.sessionSeconds, request.address, request.header("USER_AGENT"))

    // Another process, with another first key, may have made the current token.
    guard let key = Settings.tokenKeys[.refresh].first(where: { used.next(key: $0).hash == renewed.hash }) else {
        throw RefreshToken.invalid
    }
    return try .signIn(
        user: user, json: renewed.json, refresh: used.next(key: key), key: Settings.tokenKeys.signingKey(beside: key),
        time: renewed.seconds)
}
