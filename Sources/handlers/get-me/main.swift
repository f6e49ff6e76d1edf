import Common

serve { request, database in
    let caller = try request.caller()
    let user = try database.row(
        User.self,
        """
        with caller as (\(caller.live))
        select \(User.columns) from caller join users u on u.id = caller.user_id
        """)
    guard let user else { throw Problem.sessionEnded }
    return try .json(UserAnswer(user: user))
}
