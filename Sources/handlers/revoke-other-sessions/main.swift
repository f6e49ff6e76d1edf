import Common

serve { request, database in
    let caller = try request.caller()
    let done: Done = try database.call("revoke_other_sessions", caller, request.address, request.header("USER_AGENT"))
    return .done(done)
}
