import Common

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, of: "trash", caller: caller, keys: 2)
    return try page.answer(
        "chatrooms", from: database,
        """
        with caller as (\(caller.live))
        select \(Page.key("r.deleted_at")) || ' ' || r.id as place, (
            select row_to_json(j) from (select
                \(Chatroom.columns), r.deleted_at, r.deleted_at + make_interval(days => \(Settings.trashDays)::int) as purge_at
            ) j
        ) as entry
        from caller left join lateral (
            select * from chatrooms r
            where r.user_id = caller.user_id and \(Chatroom.isInTrash) and (r.deleted_at, r.id) < (
                coalesce(\(Page.time(page.after.first)), 'infinity'),
                coalesce(\(page.after.last)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            )
            order by r.deleted_at desc, r.id desc limit \(page.limit + 1)
        ) r on true
        left join lateral (\(Chatroom.updated)) a on true
        order by r.deleted_at desc, r.id desc
        """)
}
