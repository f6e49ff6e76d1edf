import Common

serve { request, database in
    let caller = try request.caller()
    let usage = try database.answer(
        """
        with caller as (\(caller.live)), day as (
            select u.id as user_id, \(User.tier) as tier, \(Plan.messagesPerDay) as "limit",
                used_in_day(u.id, n.day) + coalesce(d.carried, 0) as used, \(Quota.midnight) as resets_at,
                d.prompt_tokens, d.output_tokens, d.total_tokens
            from caller join users u on u.id = caller.user_id
            cross join lateral (\(Quota.now)) n
            left join usage_days d on d.user_id = u.id and d.day = n.day
        )
        select json_build_object(
            'tier', d.tier,
            'daily', json_build_object(
                'limit', d."limit", 'used', d.used, 'remaining', d."limit" - least(d."limit", d.used), 'resets_at', d.resets_at),
            'tokens', json_build_object(
                'prompt', coalesce(d.prompt_tokens, 0), 'output', coalesce(d.output_tokens, 0),
                'total', coalesce(d.total_tokens, 0))
        ) as json from day d
        """)
    return .json(usage)
}
