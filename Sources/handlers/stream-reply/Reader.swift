import Common

/// Who asks for a stream, of what, and from where on.
struct Reader {
    let requestID: String
    let caller: Caller
    let room: ID
    let message: ID
    let position: Position
    /// Whether they say that they have something, and it cannot be made out how much: they have to forget it.
    let isLost: Bool

    init(_ request: Request) throws {
        requestID = request.id
        caller = try request.caller()
        room = try request.pathID("CHATROOM_ID")
        message = try request.pathID("MESSAGE_ID")
        let last = request.header("LAST_EVENT_ID") ?? ""
        let position = Position(id: last)
        self.position = position ?? Position()
        isLost = position == nil && !last.isEmpty
    }
}
