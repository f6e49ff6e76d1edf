/// A page of a chatroom's messages, the newest first.
public struct MessagePage: Encodable {
    let messages: [Message]
    let nextCursor: String?

    enum CodingKeys: String, CodingKey {
        case messages
        case nextCursor = "next_cursor"
    }

    /// Reads it; 404 where the room is not the caller's.
    public init(_ page: Page, of room: ID, caller: Caller, database: Database) throws {
        let rows = try database.rows(
            MessageOfRoom.self,
            """
            with caller as (\(caller.live))
            select r.id as room_id, \(Message.columns)
            from caller
            left join chatrooms r on r.user_id = caller.user_id and r.id = \(room)
            left join lateral (
                select * from messages m
                where m.user_id = r.user_id and m.chatroom_id = r.id
                    and m.id < coalesce(\(page.after.first)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                order by m.id desc limit \(page.limit + 1)
            ) m on true
            """)
        if rows.isEmpty { throw Problem.sessionEnded }
        guard rows[0].room != nil else { throw Problem.notFound }
        let found = rows.compactMap(\.message)
        messages = Array(found.prefix(page.limit))
        nextCursor = page.next(found: found.count, last: messages.last.map { [$0.id.text] } ?? [])
    }
}

private struct MessageOfRoom: Decodable {
    let room: ID?
    let message: Message?

    enum CodingKeys: String, CodingKey { case room = "room_id" }

    init(from decoder: any Decoder) throws {
        room = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(ID.self, forKey: .room)
        message = try Found<Message>(from: decoder).value
    }
}
