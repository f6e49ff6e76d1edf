import Common

struct CachedList: Decodable {
    /// NULL where nothing is cached.
    let version: Int?
    let list: String?
}

struct ListedRoom: Decodable {
    let id: ID?
    /// When there was last something new in it, in microseconds since 1970.
    let time: String?
    let room: String?
}

/// The entry's version: when it was made, in microseconds, which is also its ETag.
let version: SQL = "(date_part('epoch', c.expires_at) * 1000000)::bigint"

func headers(_ version: Int, _ cache: String) -> [(String, String)] {
    [("ETag", "\"\(version)\""), ("Cache-Control", "private, no-cache"), ("X-Cache", cache)]
}

func list(_ page: Page, archived: Bool, caller: Caller, database: Database) throws -> String {
    let rows = try database.rows(
        ListedRoom.self,
        """
        with caller as (\(caller.live))
        select r.id, (extract(epoch from r.updated_at) * 1000000)::bigint as time, r.room
        from caller left join (
            select r.id, a.updated_at, \(Chatroom.json) as room
            from chatrooms r cross join lateral (\(Chatroom.updated)) a
            where r.user_id = \(caller.user) and r.archived = \(archived) and (a.updated_at, r.id) < (
                coalesce('epoch'::timestamptz + \(page.after.first)::bigint * interval '1 microsecond', 'infinity'),
                coalesce(\(page.after.last)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            )
            order by a.updated_at desc, r.id desc limit \(page.limit + 1)
        ) r on true
        order by r.updated_at desc, r.id desc
        """)
    if rows.isEmpty { throw Problem.sessionEnded }
    let rooms = rows.filter { $0.id != nil }
    return "{"
        + page.members("chatrooms", rooms.compactMap(\.room)) { [rooms[$0].time ?? "", rooms[$0].id?.text ?? ""] }
        + "}"
}

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, keys: 2)
    let archived = request.query("archived") == "true"
    // The first page, as everybody asks for it, is kept.
    guard page.after.isEmpty, page.limit == 50, !archived else {
        return .json(try list(page, archived: archived, caller: caller, database: database))
    }

    let key = "chatrooms:\(caller.user)"
    let cached = try database.row(
        CachedList.self,
        """
        with caller as (\(caller.live))
        select \(version) as version, c.value as list
        from caller left join cache c on c.key = \(key) and c.expires_at > now()
        """)
    guard let cached else { throw Problem.sessionEnded }
    if let version = cached.version, let list = cached.list {
        let isKnown = request.matches(etag: "\"\(version)\"")
        return isKnown
            ? Response(status: 304, headers: headers(version, "hit")) : .json(list, headers: headers(version, "hit"))
    }

    // See forget_chatroom_list. A reader that stops here for longer than a second loses the lock with its transaction.
    return try database.transaction {
        let isAlone = try database.row(
            Bool.self,
            """
            select pg_try_advisory_xact_lock(uuid_hash_extended(\(caller.user), 1))
            from set_config('idle_in_transaction_session_timeout', '1000', true)
            """)
        let list = try list(page, archived: archived, caller: caller, database: database)
        guard isAlone == true else { return .json(list, headers: [("X-Cache", "miss")]) }
        let made = try database.row(
            Int.self,
            """
            insert into cache as c (key, value, expires_at) values (\(key), \(list), now() + interval '5 minutes')
            on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at
            returning \(version)
            """)
        return .json(list, headers: headers(made ?? 0, "miss"))
    }
}
