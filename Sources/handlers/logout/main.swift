import Common

struct Leaving: Decodable {
    let refreshToken: String?
    enum CodingKeys: String, CodingKey { case refreshToken = "refresh_token" }
}

// Whoever signs out after their access token has expired still has the refresh token, which names the session as well.
serve { request, database in
    let text = request.body.isEmpty ? nil : try request.json(Leaving.self).refreshToken
    // Either of the two is enough.
    let refresh = text.flatMap { try? RefreshToken.read($0) }
    let caller = text == nil ? try request.caller() : try? request.caller()
    let isGenuine = refresh?.token.isGenuine() ?? false

    let isSignedOut = try database.row(
        Bool.self,
        """
        with caller as (
            select user_id, id from sessions where \(Caller.isLive) and (
                user_id = \(caller?.user) and id = \(caller?.session)
                or user_id = \(refresh?.user) and id = \(refresh?.token.session)
                    and (\(isGenuine)::bool or refresh_hash = \(refresh?.token.hash)))
        ), ended as (
            \(Session.end("signed_out", where: "s.id = c.id"))
        ), recorded as (\(SecurityEvent.signedOut.record(for: "select * from ended", request, detail: Session.detail)))
        select exists (select from caller)
        """)
    // A session that has ended before is what a repeated request finds.
    guard isSignedOut == true || isGenuine else { throw caller == nil ? RefreshToken.invalid : Problem.sessionEnded }
    return Response(status: 204)
}
