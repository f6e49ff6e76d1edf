import Common

struct Listed: Decodable {
    /// When it was made, in microseconds since 1970; NULL where there is none.
    let time: String?
    let id: ID?
    /// A `Share` as JSON.
    let share: String?
}

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, of: "shares", caller: caller, keys: 2)
    let rows = try database.rows(
        Listed.self,
        """
        with caller as (\(caller.live))
        select \(Page.key("s.created_at")) as time, s.id, (select row_to_json(j) from (select \(Share.columns)) j) as share
        from caller left join lateral (
            select s.* from shares s join chatrooms r on r.user_id = s.user_id and r.id = s.chatroom_id and r.deleted_at is null
            where s.user_id = caller.user_id and s.expires_at > now() and (s.created_at, s.id) < (
                coalesce(\(Page.time(page.after.first)), 'infinity'),
                coalesce(\(page.after.last)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            )
            order by s.created_at desc, s.id desc limit \(page.limit + 1)
        ) s on true
        order by s.created_at desc, s.id desc
        """)
    if rows.isEmpty { throw Problem.sessionEnded }
    let shares = rows.filter { $0.id != nil }
    let answers = try shares.compactMap(\.share).map { try JSON.decode(Share.self, Array($0.utf8)).answer() }
    return .json("{\(page.members("shares", answers) { [shares[$0].time ?? "", shares[$0].id?.text ?? ""] })}")
}
