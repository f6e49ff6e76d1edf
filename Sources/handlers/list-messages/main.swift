import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    return try .json(MessagePage(Page(request, keys: 1), of: room, caller: caller, database: database))
}
