import Common

struct CachedList: Decodable {
    /// NULL where nothing is cached.
    let version: Int?
    let list: String?
}

struct ListedRoom: Decodable {
    let id: ID?
    let pinned: String?
    /// When it was last used, in microseconds since 1970.
    let time: String?
    let room: String?
    /// The time now, likewise.
    let now: String
}

/// The entry's version: when it was made, in microseconds, which is also its ETag.
let version: SQL = "(date_part('epoch', c.expires_at) * 1000000)::bigint"

func headers(_ version: Int, _ cache: String) -> [(String, String)] {
    [("ETag", "\"\(version)\""), ("Cache-Control", "private, no-cache"), ("X-Cache", cache)]
}

/// Pinned rooms come first, and each kind by when a room was last used: by its newest message. All pages that follow each other
/// show the rooms as they stood when the first was made, which its cursor says: nothing that is used or made meanwhile moves, or
/// is seen twice. Only what was being sent at that very moment may have moved its room to the front, unseen.
func list(_ page: Page, archived: Bool, caller: Caller, database: Database) throws -> String {
    let place: [String?] = page.after.isEmpty ? [nil, nil, nil, nil] : page.after
    let rows = try database.rows(
        ListedRoom.self,
        """
        with caller as (\(caller.live)), place as (
            select coalesce(\(Page.time(place[0])), 'infinity') as seen_at, coalesce(\(place[1])::bool, true) as pinned,
                coalesce(\(Page.time(place[2])), 'infinity') as used_at,
                coalesce(\(place[3])::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') as id
        )
        select r.id, r.pinned, \(Page.key("r.used_at")) as time, \(Chatroom.json) as room,
            \(Page.key("clock_timestamp()")) as now
        from caller cross join place left join lateral (
            select r.*, u.used_at
            from chatrooms r cross join lateral (
                select greatest(r.created_at, (
                    select m.created_at from messages m
                    where m.user_id = r.user_id and m.chatroom_id = r.id and m.created_at <= place.seen_at
                    order by m.id desc limit 1
                )) as used_at
            ) u
            where r.user_id = caller.user_id and r.archived = \(archived) and r.deleted_at is null
                and r.created_at <= place.seen_at
                and (r.pinned, u.used_at, r.id) < (place.pinned, place.used_at, place.id)
            order by r.pinned desc, u.used_at desc, r.id desc limit \(page.limit + 1)
        ) r on true
        left join lateral (\(Chatroom.updated)) a on true
        order by r.pinned desc, r.used_at desc, r.id desc
        """)
    if rows.isEmpty { throw Problem.sessionEnded }
    let rooms = rows.filter { $0.id != nil }
    let members = page.members("chatrooms", rooms.compactMap(\.room)) { index in
        let room = rooms[index]
        return [page.after.first ?? room.now, room.pinned ?? "", room.time ?? "", room.id?.text ?? ""]
    }
    return "{\(members)}"
}

/// The first page, as everybody asks for it, is kept.
func cachedList(_ page: Page, _ request: Request, caller: Caller) -> Query {
    let key = "chatrooms:\(caller.user)"
    let entry: SQL = """
        with caller as (\(caller.live))
        select \(version) as version, c.value as list
        from caller left join cache c on c.key = \(key) and c.expires_at > now()
        """
    return Query(entry) { database in
        guard let cached = try database.row(CachedList.self, entry) else { throw Problem.sessionEnded }
        if let version = cached.version, let list = cached.list {
            let isKnown = request.matches(etag: "\"\(version)\"")
            return isKnown
                ? Response(status: 304, headers: headers(version, "hit"))
                : .json(list, headers: headers(version, "hit"))
        }

        // See forget_chatroom_list. A reader that stops here for longer than a second loses the lock with its transaction.
        return try database.transaction {
            let isAlone = try database.row(
                Bool.self,
                """
                select pg_try_advisory_xact_lock(uuid_hash_extended(\(caller.user), 1))
                from set_config('idle_in_transaction_session_timeout', '1000', true)
                """)
            let list = try list(page, archived: false, caller: caller, database: database)
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
}

serve { request in
    let caller = try request.caller()
    let flag = request.query("archived") ?? "false"
    guard flag.utf8.count <= 5, ["true", "false"].contains(flag) else {
        throw Problem.invalid("archived", "must be true or false")
    }
    let archived = flag == "true"
    let page = try Page(request, of: archived ? "archived chatrooms" : "chatrooms", caller: caller, keys: 4)
    if page.after.isEmpty, page.limit == 50, !archived { return cachedList(page, request, caller: caller) }
    return Query(alone: { .json(try list(page, archived: archived, caller: caller, database: $0)) })
}
