import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let messages = try database.found(
        Message.self,
        """
        with caller as (\(caller.live))
        select \(Message.columns) from caller
        left join messages m on m.user_id = caller.user_id and m.chatroom_id = \(room) and m.id = \(id)
        """)
    guard let message = messages.first else { throw Problem.notFound }
    if !message.isFinished, !request.hasWaited, let seconds = request.preferredWait, seconds > 0 {
        return .wait(for: id, seconds: seconds)
    }
    return try .json(message)
}
