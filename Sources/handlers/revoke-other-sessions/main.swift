import Common

serve { request, database in
    let caller = try request.caller()
    _ = try database.answer(
        """
        with caller as (\(caller.live)), ended as (
            \(Session.end("revoked", where: "s.id <> \(caller.session)"))
        ), recorded as (\(SecurityEvent.sessionRevoked.record(for: "select * from ended", request, detail: Session.detail)))
        select '' as json from caller
        """)
    return Response(status: 204)
}
