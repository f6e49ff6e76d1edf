import Common

serve { request in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let page = try MessagePage.asked(request, of: room, caller: caller)
    let call = Call("get_chatroom", caller, room, Settings.model, page.after.first, page.limit + 1)
    return Query(all: call) { (rows: [Page.Row]) in
        let room = rows.first?.entry ?? ""
        return .json("\(room.dropLast()),\(MessagePage(page, Array(rows.dropFirst())).members)}")
    }
}
