import Common

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, of: "shares", caller: caller, keys: 2)
    return try page.answer(
        "shares", from: database,
        """
        with caller as (\(caller.live))
        select \(Page.key("s.created_at")) || ' ' || s.id as place, (
            select row_to_json(j) from (select \(Share.columns)) j
        ) as entry
        from caller left join lateral (
            select s.* from shares s join chatrooms r on r.user_id = s.user_id and r.id = s.chatroom_id and r.deleted_at is null
            where s.user_id = caller.user_id and s.expires_at > now() and (s.created_at, s.id) < (
                coalesce(\(Page.time(page.after.first)), 'infinity'),
                coalesce(\(page.after.last)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            )
            order by s.created_at desc, s.id desc limit \(page.limit + 1)
        ) s on true
        order by s.created_at desc, s.id desc
        """
    ) { entry in
        try JSON.decode(Share.self, Array(entry.utf8)).answer()
    }
}
