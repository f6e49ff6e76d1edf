/// What an account's owner should know of: the table `security_events`.
public enum SecurityEvent: String, Sendable {
    case signedIn = "signed_in"
    case signInFailed = "sign_in_failed"
    case refreshReused = "refresh_reused"
    case signedOut = "signed_out"
    case sessionRevoked = "session_revoked"
    case passwordChanged = "password_changed"
    case passwordReset = "password_reset"
    case exported

    /// Records it for each `user_id` that `users` selects, as a part of the statement in which it happens:
    /// `…, recorded as (\(SecurityEvent.signedIn.record(for: "select user_id from session", request)))`.
    /// - Parameter detail: what else there is to know, as `jsonb` out of the columns of `users` under the name `o`.
    public func record(
        for users: SQL, _ request: Request, detail: SQL = "null::jsonb", into table: SQL = "security_events"
    ) -> SQL {
        """
        insert into \(table) (user_id, kind, ip, user_agent, detail)
        select o.user_id, \(rawValue), \(request.address)::inet, left(\(request.header("USER_AGENT")), 500), \(detail)
        from (\(users)) o
        """
    }
}
