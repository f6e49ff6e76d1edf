/// What stands behind the tokens of somebody who has signed in: the table `sessions`.
public enum Session {
    /// Ends those of the caller's sessions that live and meet a condition on `s`, as a part of a protected statement; gives
    /// `user_id` and `id` of each. The next request of theirs finds it.
    public static func end(_ reason: String, where condition: SQL) -> SQL {
        """
        update sessions s set ended_at = now(), end_reason = \(reason) from caller c
        where s.user_id = c.user_id and s.ended_at is null and s.expires_at > now() and \(condition)
        returning s.user_id, s.id
        """
    }

    /// What a security event says of the session that it is about.
    public static let detail: SQL = "jsonb_build_object('session_id', o.id)"
}
