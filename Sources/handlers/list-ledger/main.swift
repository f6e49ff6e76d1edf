import Common

serve { request, database in
    let caller = try request.caller()
    let page = try Page(request, of: "ledger", caller: caller, keys: 1)
    return try page.answer(
        "entries", from: database,
        """
        with caller as (\(caller.live))
        select l.id as place, l.entry
        from caller left join lateral (
            select l.id, (select row_to_json(j) from (select
                l.id, l.kind, l.amount, l.reason, l.message_id, l.chatroom_id, l.day,
                case when l.total_tokens is not null then json_build_object(
                    'prompt', l.prompt_tokens, 'output', l.output_tokens, 'total', l.total_tokens) end as tokens,
                l.created_at
            ) j) as entry
            from ledger l
            where l.user_id = caller.user_id
                and l.id < coalesce(\(page.after.first)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            order by l.id desc limit \(page.limit + 1)
        ) l on true
        order by l.id desc
        """)
}
