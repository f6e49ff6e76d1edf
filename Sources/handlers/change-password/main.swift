import Common

struct Change: Decodable {
    let currentPassword: CurrentPassword?
    let newPassword: NewPassword

    enum CodingKeys: String, CodingKey {
        case currentPassword = "current_password"
        case newPassword = "new_password"
    }
}

struct Account: Decodable {
    let passwordHash: String?
    /// Whether a code was entered for this session a moment ago.
    let isFresh: Bool
    /// Seconds until a password may be tried again; 0 where it may be now, and is counted.
    let wait: Int

    enum CodingKeys: String, CodingKey {
        case wait
        case passwordHash = "password_hash"
        case isFresh = "is_fresh"
    }
}

serve { request, database in
    let change: Change = try request.json()
    let caller = try request.caller()

    // A try counts as a wrong one until it is known to be right, so that tries at the same time are counted too.
    let account = try database.row(
        Account.self,
        """
        with caller as (\(caller.live) and \(RateLimit.account.allows))
        select u.password_hash,
            coalesce(s.signed_in_by = 'otp' and s.created_at > now() - interval '5 minutes', false) as is_fresh,
            case when u.password_hash is not null and \(change.currentPassword != nil)::bool then reserve_own_try(
                u.id, \(Settings.loginTries), \(Settings.loginWait), \(Settings.loginLongestWait)
            ) else 0 end as wait
        from caller
        join users u on u.id = caller.user_id
        join sessions s on s.user_id = caller.user_id and s.id = \(caller.session)
        """)
    guard let account else { throw Problem.sessionEnded }
    guard account.wait == 0 else { throw Problem.loginTooSoon(seconds: account.wait) }
    if account.passwordHash != nil {
        guard let current = change.currentPassword else {
            throw Problem.invalid("current_password", "is missing")
        }
        guard try Password.matches(current.text, hash: account.passwordHash) else { throw Problem.wrongPassword }
    } else if !account.isFresh {
        throw Problem(
            403, "reauthentication_required",
            "To set a first password, sign in by a code and do it within five minutes.")
    }
    let newHash = try Password.hash(change.newPassword.text)

    let isDone = try database.transaction {
        let isDone = try database.row(
            Bool.self,
            """
            with caller as (\(caller.live)), account as (
                update users u set password_hash = \(newHash) from caller
                where u.id = caller.user_id and u.password_hash is not distinct from \(account.passwordHash)
                returning u.id as user_id, u.mobile
            ), recorded as (\(SecurityEvent.passwordChanged.record(for: "select user_id from account", request)))
            select exists (select from account), (select forget_failures(mobile, user_id) from account) from caller
            """)
        guard isDone == true else { return isDone }
        // A statement of its own, to see who signed in by the old password while the account's row was waited for.
        try database.execute(
            """
            update sessions set ended_at = now(), end_reason = 'password_changed'
            where user_id = \(caller.user) and id <> \(caller.session) and ended_at is null
            """)
        return isDone
    }
    guard let isDone else { throw Problem.sessionEnded }
    // Somebody else changed it meanwhile.
    guard isDone else { throw Problem.wrongPassword }
    return Response(status: 204)
}

extension Problem {
    static let wrongPassword = Problem(
        401, "credentials_invalid", "The current password is wrong.", headers: [("WWW-Authenticate", "Bearer")])
}
