import Common

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("SESSION_ID")
    _ = try database.answer(
        """
        with caller as (\(caller.untouched)), ended as (
            \(Session.end("revoked", where: "s.id = \(id)"))
        ), recorded as (\(SecurityEvent.sessionRevoked.record(for: "select * from ended", request, detail: Session.detail)))
        select case when exists (select from ended) then '' end as json from caller
        """)
    return Response(status: 204)
}
