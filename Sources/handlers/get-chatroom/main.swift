import Common

serve { request in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let page = try Page.ofMessages(request, in: room, caller: caller)
    let call = Call("get_chatroom", caller, room, Settings.model, page.after.first, page.limit + 1)
    return Query(all: call) { (rows: [Page.Row]) in
        let room = rows.first?.entry ?? ""
        return .json("\(room.dropLast()),\(try page.members("messages", Array(rows.dropFirst())))}")
    }
}
