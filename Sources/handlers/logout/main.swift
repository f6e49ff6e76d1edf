import Common

struct Leaving: Decodable {
    let refreshToken: String?
    enum CodingKeys: String, CodingKey { case refreshToken = "refresh_token" }
}

// Whoever signs out after their access token has expired still has the refresh token, which names the session as well.
serve { request, database in
    let text = request.body.isEmpty ? nil : try request.json(Leaving.self).refreshToken
    // Either of the two is enough, so that one which is none counts as one that was not sent.
    let refresh = text.flatMap { try? RefreshToken.read($0) }
    let caller = text == nil ? try request.caller() : try? request.caller()
    let done: Done = try database.call(
        "logout", caller, refresh?.user, refresh?.token.session, refresh?.token.isGenuine() ?? false,
        refresh?.token.hash,
        request.address, request.header("USER_AGENT"))
    return .done(done)
}
