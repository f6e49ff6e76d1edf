import Common

serve { request, database in
    let caller = try request.caller()
    let user = try database.answer(
        """
        with caller as (\(caller.live))
        select \(User.json) as json from caller join users u on u.id = caller.user_id
        """)
    return .json("{\"user\":\(user)}")
}
