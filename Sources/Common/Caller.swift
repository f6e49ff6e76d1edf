/// Who sent a request, by their access token. Whether the session still lives is for the statement to find out.
public struct Caller: Sendable {
    public let user: ID
    public let session: ID
    /// Seconds since 1970 at which the access token was made.
    public let tokenTime: Int

    /// Selects `user_id` of the caller while their session lives, and nothing after: what every statement of a
    /// protected endpoint starts from, as `with caller as (…)`.
    public var live: SQL { "\(untouched) and \(Caller.usesSession(since: "\(tokenTime)"))" }

    /// The same, for a statement that ends the session itself: it leaves the session's row to that.
    public var untouched: SQL {
        """
        select user_id from sessions
        where user_id = \(user) and id = \(session) and \(Caller.isLive)
        """
    }

    /// Whether a session lives.
    public static let isLive: SQL = "ended_at is null and expires_at > now()"

    /// A condition on a session that always holds: the first use of an access token of the last refresh is noted by it, after
    /// which the refresh token before is good no more. An access token of the same second counts as one.
    public static func usesSession(since tokenTime: SQL) -> SQL {
        """
        (not is_unused or \(tokenTime)::bigint < floor(extract(epoch from refreshed_at)) or use_session(user_id, id))
        """
    }
}

extension Request {
    /// The caller; 401 without a token that we made and that is good now.
    public func caller() throws -> Caller {
        let token = try Token.verified(authorization: header("AUTHORIZATION") ?? "")
        return Caller(user: token.sub, session: token.sid, tokenTime: token.iat)
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
