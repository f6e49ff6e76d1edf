import Common

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("ATTACHMENT_ID")
    return .done(try database.call("delete_attachment", caller, id))
}
