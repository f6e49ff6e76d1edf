import Common

serve { request in
    let caller = try request.caller()
    let page = try Page(request, of: "shares", caller: caller, keys: 2)
    let call = Call("list_shares", caller, page.after.first, page.after.last, page.limit + 1)
    return Query(all: call) { (rows: [Page.Row]) in try page.answer("shares", rows, as: Share.answer) }
}
