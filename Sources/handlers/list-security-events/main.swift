import Common

serve { request in
    let caller = try request.caller()
    let page = try Page(request, of: "events", caller: caller, keys: 1)
    return Query(all: Call("list_security_events", caller, page.after.first, page.limit + 1)) { (rows: [Page.Row]) in
        try page.answer("events", rows)
    }
}
