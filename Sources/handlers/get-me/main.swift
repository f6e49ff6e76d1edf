import Common

serve { request in
    let caller = try request.caller()
    let user: SQL = """
        with caller as (\(caller.live))
        select row_to_json(j) from (select \(User.members) from users u where u.id = (select user_id from caller)) j
        """
    return Query(user) { database in .json("{\"user\":\(try database.answer(user))}") }
}
