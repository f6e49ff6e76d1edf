import Common

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, keys: 1)
    let messages = try MessagePage(page, of: request.pathID("CHATROOM_ID"), caller: caller, database: database)
    return .json("{\(messages.members)}")
}
