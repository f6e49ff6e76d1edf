import Common
import Upstream

serve { request, database, payments in
    let caller = try request.caller()
    try payments.begin()
    try payments.change(caller, toEnd: false, database)
    return .json(try database.answer(Subscription.status(of: caller)))
}
