import Common

struct Found: Decodable {
    /// NULL where there is no such message of the caller's.
    let status: String?
    let json: String
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let found = try database.row(
        Found.self,
        """
        with caller as (\(caller.live))
        select m.status, \(Message.json) as json from caller
        left join messages m on m.user_id = caller.user_id and m.chatroom_id = \(room) and m.id = \(id)
        """)
    guard let found else { throw Problem.sessionEnded }
    guard let status = found.status else { throw Problem.notFound }
    if ["queued", "running"].contains(status), !request.hasWaited, let seconds = request.preferredWait, seconds > 0 {
        return .wait(for: id, seconds: seconds)
    }
    return .json(found.json)
}
