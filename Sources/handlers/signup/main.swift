import Common

struct NewUser: Decodable {
    let mobile: WrittenMobile
    let username: Username?
    let password: NewPassword?
}

serve { request, database in
    let new: NewUser = try request.json()
    let mobile = try new.mobile.reachable(in: database)
    let passwordHash = try new.password.map { try Password.hash($0.text) }

    // A number that nobody has proven to be theirs may be signed up again.
    let user = try database.row(
        String.self,
        """
        insert into users as u (mobile, username, password_hash, signed_up_from)
        values (\(mobile), \(new.username), \(passwordHash), \(request.origin))
        on conflict (mobile) do update
        set username = excluded.username, password_hash = excluded.password_hash,
            signed_up_from = excluded.signed_up_from, created_at = now()
        where u.mobile_verified_at is null
        returning \(User.json)
        """)
    guard let user else {
        throw Problem(409, "mobile_taken", "This number has an account; sign in instead.")
    }
    return .json("{\"user\":\(user)}", status: 201)
}
