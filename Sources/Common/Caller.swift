/// Who sent a request, by their access token. Whether the session still lives is for the statement to find out.
public struct Caller: Sendable {
    public let user: ID
    public let session: ID

    /// Selects `user_id` of the caller while their session lives, and nothing after: what every statement of a
    /// protected endpoint starts from, as `with caller as (…)`.
    public var live: SQL {
        """
        select user_id from sessions
        where user_id = \(user) and id = \(session) and \(Caller.isLive)
        """
    }

    /// Whether a session lives.
    public static let isLive: SQL = "ended_at is null and expires_at > now()"
}

extension Request {
    /// The caller; 401 without a token that we made and that is good now.
    public func caller() throws -> Caller {
        let token = try Token.verified(authorization: header("AUTHORIZATION") ?? "")
        return Caller(user: token.sub, session: token.sid)
    }
}

extension Database {
    /// The answer of a statement that starts from `Caller.live` and joins to it, with an outer join, what the caller asks
    /// for, and selects its JSON: no row at all means that the session has ended (401), a NULL that the thing is not
    /// there or not theirs (404).
    public func answer(_ statement: SQL) throws -> String {
        let result = try run(statement)
        guard result.count > 0 else { throw Problem.sessionEnded }
        // Alone in its row, it needs no decoder.
        guard let json = result.bytes(row: 0, column: 0) else { throw Problem.notFound }
        return String(decoding: json, as: UTF8.self)
    }
}

extension Problem {
    /// The session of a token was ended, or is over.
    public static let sessionEnded = unauthorized("session_ended", "This session has ended; sign in again.")
}
