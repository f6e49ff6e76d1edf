import Common

serve { request, database in
    let caller = try request.caller()
    let sessions = try database.answer(
        """
        with caller as (\(caller.live))
        select coalesce((
            select json_agg(j order by j.last_used_at desc, j.id) from (
                select s.id, s.id = \(caller.session) as current, s.created_at, s.last_used_at, s.ip, s.user_agent
                from sessions s
                where s.user_id = caller.user_id and s.ended_at is null and s.expires_at > now()
            ) j
        ), '[]') as json
        from caller
        """)
    return .json("{\"sessions\":\(sessions)}")
}
