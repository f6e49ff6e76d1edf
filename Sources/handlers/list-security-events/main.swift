import Common

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, of: "events", caller: caller, keys: 1)
    return try page.answer(
        "events", from: database,
        """
        with caller as (\(caller.live))
        select e.id as place, e.entry
        from caller left join lateral (
            select e.id, (select row_to_json(j) from (select
                e.id, e.kind, e.ip, e.user_agent, e.detail, e.created_at
            ) j) as entry
            from security_events e
            where e.user_id = caller.user_id
                and e.id < coalesce(\(page.after.first)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            order by e.id desc limit \(page.limit + 1)
        ) e on true
        order by e.id desc
        """)
}
