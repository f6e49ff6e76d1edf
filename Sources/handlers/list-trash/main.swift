import Common

serve { request in
    let caller = try request.caller()
    let page = try Page(request, of: "trash", caller: caller, keys: 2)
    let call = Call(
        "list_trash", caller, page.after.first, page.after.last, page.limit + 1, Settings.model, Settings.trashDays)
    return Query(all: call) { (rows: [Page.Row]) in try page.answer("chatrooms", rows) }
}
