import Common

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("SESSION_ID")
    let done: Done = try database.call("revoke_session", caller, id, request.address, request.header("USER_AGENT"))
    return .done(done)
}
