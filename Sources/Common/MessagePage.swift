/// A page of the messages on the branch that a chatroom shows, the newest first.
public struct MessagePage {
    /// The members `messages` and `next_cursor` of an answer.
    public let members: String

    private struct Row: Decodable {
        let room: ID?
        let id: ID?
        let message: String?
    }

    /// Reads the one that is asked for; 404 where the room is not the caller's.
    public init(_ request: Request, of room: ID, caller: Caller, database: Database) throws {
        let page = try Page(request, of: "messages \(room)", caller: caller, keys: 1)
        let rows = try database.rows(
            Row.self,
            """
            with caller as (\(caller.live))
            select r.id as room, m.id, \(Message.json) as message
            from caller
            left join \(Chatroom.found(room))
            left join lateral (
                select * from messages m
                where m.user_id = r.user_id and m.chatroom_id = r.id and \(Message.isOn("r.branch"))
                    and m.id < coalesce(\(page.after.first)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                order by m.id desc limit \(page.limit + 1)
            ) m on true
            order by m.id desc
            """)
        guard let first = rows.first else { throw Problem.sessionEnded }
        guard first.room != nil else { throw Problem.notFound }
        let messages = rows.filter { $0.id != nil }
        members = page.members("messages", messages.compactMap(\.message)) { [messages[$0].id?.text ?? ""] }
    }
}
