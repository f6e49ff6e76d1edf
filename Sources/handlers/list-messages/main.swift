import Common

serve { request, database in
    let caller = try request.caller()
    let messages = try MessagePage(request, of: request.pathID("CHATROOM_ID"), caller: caller, database: database)
    return .json("{\(messages.members)}")
}
