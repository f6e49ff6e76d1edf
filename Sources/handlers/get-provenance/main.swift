import Common

serve { request in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    return Query(Call("get_provenance", caller, room, id)) { (found: JSONAnswer) in .json(found) }
}
