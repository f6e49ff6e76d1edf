import Common

serve { request in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let page = try Page.ofMessages(request, in: room, caller: caller)
    return Query(all: Call("list_messages", caller, room, page.after.first, page.limit + 1)) { (rows: [Page.Row]) in
        try page.answer("messages", rows)
    }
}
