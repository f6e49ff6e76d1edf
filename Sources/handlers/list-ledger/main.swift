import Common

serve { request in
    let caller = try request.caller()
    let page = try Page(request, of: "ledger", caller: caller, keys: 1)
    return Query(all: Call("list_ledger", caller, page.after.first, page.limit + 1)) { (rows: [Page.Row]) in
        try page.answer("entries", rows)
    }
}
