import Common

struct Answer: Codable {
    let chatrooms: [Chatroom]
    let nextCursor: String?

    enum CodingKeys: String, CodingKey {
        case chatrooms
        case nextCursor = "next_cursor"
    }
}

struct Listed: Decodable {
    let version: Int
    let cached: String?
}

struct ListedRoom: Decodable {
    let version: Int
    let room: Chatroom?

    enum CodingKeys: String, CodingKey { case version }

    init(from decoder: any Decoder) throws {
        version = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .version)
        room = try Found<Chatroom>(from: decoder).value
    }
}

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, keys: 2)
    let archived = request.query("archived") == "true"
    let isCached = page.after.isEmpty && page.limit == 50 && !archived

    let version: SQL = """
        (select coalesce(sum(v.version), 0)::bigint from chatroom_list_versions v where v.user_id = caller.user_id)
        """
    // The first page, as everybody asks for it, is kept. The key of an entry names the version that it is the list of, so
    // that after a write nobody can find an older one, whoever put it there and when.
    let prefix = "chatrooms:\(caller.user):"
    if isCached {
        let listed = try database.row(
            Listed.self,
            """
            with caller as (\(caller.live)), listed as (select \(version) as version from caller)
            select listed.version, c.value as cached from listed
            left join cache c on c.key = \(prefix) || listed.version and c.expires_at > now()
            """)
        guard let listed else { throw Problem.sessionEnded }
        let headers = [("ETag", "\"\(listed.version)\""), ("Cache-Control", "private, no-cache")]
        if request.header("IF_NONE_MATCH") == "\"\(listed.version)\"" {
            return Response(status: 304, headers: headers + [("X-Cache", "hit")])
        }
        if let cached = listed.cached {
            return .json(text: Array(cached.utf8), headers: headers + [("X-Cache", "hit")])
        }
    }

    // The version and the rooms are read by one statement, so they are of one moment.
    let rows = try database.rows(
        ListedRoom.self,
        """
        with caller as (\(caller.live)), r as (
            select \(Chatroom.columns) from caller join chatrooms r using (user_id) where r.archived = \(archived)
        )
        select \(version) as version, r.* from caller left join (
            select * from r
            where (updated_at, id) < (
                coalesce(\(page.after.first)::timestamptz, 'infinity'),
                coalesce(\(page.after.last)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            )
            order by updated_at desc, id desc limit \(page.limit + 1)
        ) r on true
        order by r.updated_at desc, r.id desc
        """)
    guard let found = rows.first?.version else { throw Problem.sessionEnded }
    let rooms = rows.compactMap(\.room)
    let shown = Array(rooms.prefix(page.limit))
    let last = shown.last.map { [$0.updatedAt.text, $0.id.text] } ?? []
    let body = try JSON.encode(Answer(chatrooms: shown, nextCursor: page.next(found: rooms.count, last: last)))
    guard isCached else { return .json(text: body) }

    try database.execute(
        """
        insert into cache (key, value, expires_at)
        values (\(prefix + String(found)), \(String(decoding: body, as: UTF8.self)), now() + interval '5 minutes')
        on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at
        """)
    let headers = [("ETag", "\"\(found)\""), ("Cache-Control", "private, no-cache"), ("X-Cache", "miss")]
    return .json(text: body, headers: headers)
}
