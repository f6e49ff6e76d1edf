import Common

serve { request, database in
    let caller = try request.caller()
    let user = try database.answer(
        """
        with caller as (\(caller.live))
        select row_to_json(j) from (select \(User.members) from users u where u.id = (select user_id from caller)) j
        """)
    return .json("{\"user\":\(user)}")
}
