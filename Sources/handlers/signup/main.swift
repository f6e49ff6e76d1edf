import Common

struct NewUser: Decodable {
    let mobile: WrittenMobile
    let username: Username?
    /// Checked here, so that a bad one is known before a code is sent; verify-otp sets it.
    let password: NewPassword?
}

serve { request, database in
    let new: NewUser = try request.json()
    let mobile = try new.mobile.reachable(in: database)

    // A number that nobody has proven to be theirs may be signed up again.
    let user = try database.row(
        String.self,
        """
        insert into users as u (mobile, username) values (\(mobile), \(new.username))
        on conflict (mobile) do update set username = excluded.username, created_at = now()
        where u.mobile_verified_at is null
        returning \(User.json)
        """)
    guard let user else {
        throw Problem(409, "mobile_taken", "This number has an account; sign in instead.")
    }
    return .json("{\"user\":\(user)}", status: 201)
}
