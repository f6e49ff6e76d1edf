import Common

struct Listed: Decodable {
    let version: Int
    let cached: String?
}

struct ListedRoom: Decodable {
    let version: Int
    let id: ID?
    let updatedAt: String?
    let room: String?

    enum CodingKeys: String, CodingKey {
        case version, id, room
        case updatedAt = "updated_at"
    }
}

/// The version of the list of `caller`: see `Chatroom.bumpList`.
let version: SQL = """
    (select coalesce(sum(v.version), 0)::bigint from chatroom_list_versions v where v.user_id = caller.user_id)
    """

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, keys: 2)
    let archived = request.query("archived") == "true"

    // The first page, as everybody asks for it, is kept. The key of an entry names the version that it is the list of, so
    // that after a write nobody can find an older one, whoever put it there and when.
    let isCached = page.after.isEmpty && page.limit == 50 && !archived
    let prefix = "chatrooms:\(caller.user):"
    func headers(_ version: Int, _ cache: String) -> [(String, String)] {
        [("ETag", "\"\(version)\""), ("Cache-Control", "private, no-cache"), ("X-Cache", cache)]
    }
    if isCached {
        let listed = try database.row(
            Listed.self,
            """
            with caller as (\(caller.live)), listed as (select \(version) as version from caller)
            select listed.version, c.value as cached from listed
            left join cache c on c.key = \(prefix) || listed.version and c.expires_at > now()
            """)
        guard let listed else { throw Problem.sessionEnded }
        if request.header("IF_NONE_MATCH") == "\"\(listed.version)\"" {
            return Response(status: 304, headers: headers(listed.version, "hit"))
        }
        if let cached = listed.cached { return .json(cached, headers: headers(listed.version, "hit")) }
    }

    // The version and the rooms are read by one statement, so they are of one moment.
    let rows = try database.rows(
        ListedRoom.self,
        """
        with caller as (\(caller.live))
        select \(version) as version, r.id, to_json(r.updated_at) #>> '{}' as updated_at, r.room
        from caller left join (
            select r.id, a.updated_at, \(Chatroom.json) as room
            from caller join chatrooms r using (user_id) cross join lateral (\(Chatroom.updated)) a
            where r.archived = \(archived) and (a.updated_at, r.id) < (
                coalesce(\(page.after.first)::timestamptz, 'infinity'),
                coalesce(\(page.after.last)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            )
            order by a.updated_at desc, r.id desc limit \(page.limit + 1)
        ) r on true
        order by r.updated_at desc, r.id desc
        """)
    guard let first = rows.first else { throw Problem.sessionEnded }
    let rooms = rows.filter { $0.id != nil }
    let members = page.members("chatrooms", rooms.compactMap(\.room)) {
        [rooms[$0].updatedAt ?? "", rooms[$0].id?.text ?? ""]
    }
    guard isCached else { return .json("{\(members)}") }

    try database.execute(
        """
        insert into cache (key, value, expires_at)
        values (\(prefix + String(first.version)), \("{\(members)}"), now() + interval '5 minutes')
        on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at
        """)
    return .json("{\(members)}", headers: headers(first.version, "miss"))
}
