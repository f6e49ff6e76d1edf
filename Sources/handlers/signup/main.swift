import Common

struct NewUser: Decodable {
    let mobile: WrittenMobile
    let username: Username?
    /// Checked here, so that a bad one is known before a code is sent; verify-otp sets it.
    let password: NewPassword?
}

struct Outcome: Decodable {
    /// Seconds until this address may sign up another.
    let wait: Int
    /// NULL where the number has an account.
    let user: String?
}

serve { request, database in
    let new: NewUser = try request.json()
    let mobile = try new.mobile.reachable(in: database)

    // A number that nobody has proven to be theirs may be signed up again.
    let outcome = try database.row(
        Outcome.self,
        """
        with counted as (
            select count_sign_up(\(request.address)::inet, \(Settings.otpPerAddressHour)::int) as wait
        ), signed_up as (
            insert into users as u (mobile, username) select \(mobile), \(new.username) from counted where wait = 0
            on conflict (mobile) do update set username = excluded.username, created_at = now()
            where u.mobile_verified_at is null
            returning \(User.json) as json
        )
        select counted.wait, \(Settings.signupConceals ? anybody(mobile, new.username) : "signed_up.json") as user
        from counted left join signed_up on true
        """)
    guard let outcome else { throw Problem.internalError }
    guard outcome.wait == 0 else {
        throw Problem(
            429, "signup_limit_reached", "Too many sign-ups from this address. Try again in \(outcome.wait) seconds.",
            headers: [("Retry-After", String(outcome.wait))])
    }
    guard let user = outcome.user else {
        throw Problem(409, "mobile_taken", "This number has an account; sign in instead.")
    }
    return .json("{\"user\":\(user)}", status: 201)
}

/// The answer that does not tell whether the number has an account: what was sent, and an id that is nobody's.
func anybody(_ mobile: Mobile, _ username: Username?) -> SQL {
    """
    (select \(User.json) from (
        select uuidv7(clock_timestamp()) as id, \(mobile)::text as mobile, \(username)::text as username,
            'UTC' as timezone, null::int as retention_days, null::timestamptz as pro_until,
            null::timestamptz as mobile_verified_at, now() as created_at
    ) u)
    """
}
