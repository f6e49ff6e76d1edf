import Common

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("SHARE_ID")
    _ = try database.answer(
        """
        with caller as (\(caller.live) and \(RateLimit.sharing.allows)), revoked as (
            delete from shares s using caller where s.user_id = caller.user_id and s.id = \(id) returning s.id
        )
        select case when exists (select from revoked) then '' end as json from caller
        """)
    return Response(status: 204)
}
