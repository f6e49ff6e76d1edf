import Common

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("SHARE_ID")
    return .done(try database.call("revoke_share", caller, RateLimit.sharing.perMinute, id))
}
