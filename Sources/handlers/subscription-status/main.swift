import Common

serve { request, database in
    let caller = try request.caller()
    return .json(try database.answer(Subscription.status(of: caller)))
}
