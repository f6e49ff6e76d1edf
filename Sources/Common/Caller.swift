/// Who sent a request, by their access token: a `caller` of the schema. Whether the session still lives is for the endpoint's function
/// to find out (`is_signed_in`).
public struct Caller: SQLValue {
    public let user: ID
    public let session: ID
    /// Seconds since 1970 at which the access token was made.
    public let tokenTime: Int

    public var sqlText: String { "(\(user),\(session),\(tokenTime))" }
}

extension Request {
    /// The caller; 401 without a token that we made and that is good now.
    public func caller() throws -> Caller {
        let token = try Token.verified(authorization: header("AUTHORIZATION") ?? "")
        return Caller(user: token.sub, session: token.sid, tokenTime: token.iat)
    }
}

extension Problem {
    /// The session of a token was ended, or is over.
    public static let sessionEnded = unauthorized("session_ended", "This session has ended; sign in again.")
}
