import Common

/// A message that somebody sends.
struct Sending {
    let caller: Caller
    let room: ID
    let content: Content
    /// nil where there are none.
    let attachments: AttachmentIDs?
    private let once: Once?

    private struct NewMessage: Decodable {
        let content: Content
        let attachments: AttachmentIDs?
    }

    init(_ request: Request) throws {
        let new: NewMessage = try request.json()
        caller = try request.caller()
        room = try request.pathID("CHATROOM_ID")
        once = try request.once("send-message", room)
        content = new.content
        attachments = new.attachments.flatMap { $0.ids.isEmpty ? nil : $0 }
    }

    /// What it has in common with its repeats, and with no other; nil where it may not be repeated.
    var identity: String? { once.map { "\(caller.user) \($0.key)" } }

    /// What came of several, none of which has attachments; nil stands for one that has to be sent alone.
    static func send(_ sendings: [Sending], _ database: Database) -> [Result<Response, any Error>?] {
        do {
            return try call(sendings, database).enumerated().map { index, turn in
                if case .failure(let refusal as Refusal) = turn, refusal.word == "busy" { return nil }
                return turn.flatMap { turn in Result { try sendings[index].answer(turn) } }
            }
        } catch let error as DatabaseError where error.isRefusal {
            // One would not be stored, or had to wait for too long.
            return sendings.map { _ in nil }
        } catch {
            return sendings.map { _ in .failure(error) }
        }
    }

    func sendAlone(_ database: Database) throws -> Response {
        guard let turn = try Sending.call([self], database).first else {
            throw DatabaseError.mismatch("nothing came of a message")
        }
        return try answer(turn.get())
    }

    private static func call(_ sendings: [Sending], _ database: Database) throws -> [Result<Turn, any Error>] {
        let turns: [Result<Turn, any Error>] = try database.callEach(
            "send_message", sendings.map(\.caller), sendings.map(\.room), sendings.map(\.content.text),
            SQLArray(sendings.map(\.once)),
            Quota.limits, sendings.first?.attachments?.ids, Attachment.longestOfMessage)
        if turns.contains(where: { if case .success = $0 { true } else { false } }) { Doorbell.bell.ring() }
        return turns
    }

    private func answer(_ turn: Turn) throws -> Response { try turn.accepted(in: room, content: content.text) }
}
