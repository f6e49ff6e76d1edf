import Common

struct Hit: Decodable {
    /// Whether there is anything to look for.
    let asked: Bool
    let id: ID?
    let rank: String?
    let result: String?
}

/// What is asked for, of 1 to 200 characters.
func asked(_ request: Request) throws -> String {
    guard let text = request.query("q") else { throw Problem.invalid("q", "is missing") }
    if text.utf8.contains(0) { throw Problem.invalid("q", "must not hold NUL") }
    guard (1...200).contains(text.unicodeScalars.count) else {
        throw Problem.invalid("q", "must have 1 to 200 characters")
    }
    return text
}

serve { request, database in
    let caller = try request.caller()
    let text = try asked(request)
    let page = try Page(request, of: "search \(text)", caller: caller, keys: 2)
    // `offset 0` has what is found looked up by its words alone, and what is in the trash left out of the few that are shown.
    let hits = try database.rows(
        Hit.self,
        """
        with caller as (\(caller.live) and \(RateLimit.search.allows)), search as materialized (
            select user_id, search_query(user_id, \(text)) as query from caller
        )
        select s.query is not null as asked, h.id, h.rank, (
            select row_to_json(j) from (select
                h.chatroom_id, m.id as message_id, h.title,
                search_snippet(left(coalesce(m.content, h.title), 16000), \(text)) as snippet,
                coalesce(\(Message.createdAt), h.created_at) as created_at
            ) j
        ) as result
        from search s left join lateral (
            select h.*, r.title, r.created_at
            from (
                select e.chatroom_id, e.message_id as id, ts_rank(e.words, s.query, 1) as rank
                from (select * from search_entries e where e.words @@ s.query offset 0) e where e.user_id = s.user_id
                union all
                select r.id, r.id, 2 * ts_rank(r.title_words, s.query, 1)
                from (select * from chatrooms r where r.title_words @@ s.query offset 0) r where r.user_id = s.user_id
                order by rank desc, id desc offset 0
            ) h
            join chatrooms r on r.user_id = s.user_id and r.id = h.chatroom_id and r.deleted_at is null
            where (h.rank, h.id) < (
                coalesce(\(page.after.first)::float4, 'infinity'),
                coalesce(\(page.after.last)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
            limit \(page.limit + 1)
        ) h on true
        left join messages m on m.user_id = s.user_id and m.chatroom_id = h.chatroom_id and m.id = h.id
        order by h.rank desc, h.id desc
        """)
    guard let first = hits.first else { throw Problem.sessionEnded }
    guard first.asked else { throw Problem.invalid("q", "must hold a word to look for") }
    let found = hits.filter { $0.id != nil }
    let members = page.members("results", found.compactMap(\.result)) {
        [found[$0].rank ?? "", found[$0].id?.text ?? ""]
    }
    return .json("{\(members)}")
}
