import Common

struct Credentials: Decodable {
    let mobile: WrittenMobile
    let password: Text<AnyPassword>
}

/// As long as a password can be; what new ones have to be besides may have changed since this one was new.
enum AnyPassword: TextRule { static let length = 1...128 }

struct Account: Decodable {
    /// Seconds until a try is due.
    let wait: Int
    /// What `reserve_try` counted the try under, for `confirm_try`; `addressUntil` is a time.
    let origin: String
    let addressUntil: String?
    /// NULL where nobody has proven the number to be theirs.
    let id: ID?
    /// NULL where there is no password.
    let hash: String?

    enum CodingKeys: String, CodingKey {
        case wait, origin, id, hash
        case addressUntil = "address_until"
    }
}

struct SignedIn: Decodable { let user: String }

// Numbers with and without an account, with and without a password, are treated alike and take the same time, so that
// nobody finds out which is which.
serve { request, database in
    let input: Credentials = try request.json()
    let mobile = try input.mobile.stored(in: database)
    let account = try database.row(
        Account.self,
        """
        select t.wait, t.origin, t.address_until, u.id, u.password_hash as hash
        from reserve_try(
            \(mobile), \(request.address)::inet, \(request.header("USER_AGENT")), \(Settings.loginTries),
            \(Settings.loginTriesByAddress), \(Settings.loginWait), \(Settings.loginLongestWait)) t
        left join users u on u.mobile = \(mobile) and u.mobile_verified_at is not null
        """)
    guard let account, account.wait == 0 else { throw Problem.loginTooSoon(seconds: account?.wait ?? 1) }

    let wrong = Problem.unauthorized("credentials_invalid", "The number or the password is wrong.")
    let form = try Password.form(of: input.password.text, in: account.hash)
    guard let form, let user = account.id, let hash = account.hash else {
        // Of a number without an account it is recorded too, as nobody's, for the time that it takes.
        try database.execute(
            SecurityEvent.signInFailed.record(
                for: "select \(account.id ?? .lowest)::uuid as user_id", request,
                into: account.id == nil ? "unowned_events" : "security_events"))
        throw wrong
    }

    // The hash may be another by now: a password that was changed meanwhile signs nobody in.
    let refresh = RefreshToken()
    let isOutdated = form == .typed || Password.isOutdated(hash)
    let newHash = isOutdated ? try Password.hash(input.password.text) : hash
    let signedIn = try database.row(
        SignedIn.self,
        """
        with u as (
            update users set password_hash = \(newHash) where id = \(user) and password_hash = \(hash) returning *
        ), \(refresh.session(for: "select id as user_id from u", by: "password", request))
        select \(User.json) as user, confirm_try(
            u.mobile, \(account.origin), \(request.address)::inet, \(account.addressUntil)::timestamptz)
        from u join session on true
        """)
    guard let signedIn else { throw wrong }
    return try .signIn(user: user, json: signedIn.user, refresh: refresh)
}
