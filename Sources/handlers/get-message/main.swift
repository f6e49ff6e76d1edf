import Common

struct Found: Decodable {
    /// NULL where there is no such message of the caller's.
    let status: String?
    /// NULL where it is waited for the end of a reply, and nothing else is of interest.
    let message: String?
    let position: Int?
    let seconds: Int?
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let wait = request.hasWaited ? 0 : request.preferredWait ?? 0
    let waitsForEnd = wait > 0 && request.header("IF_NONE_MATCH") == nil
    let found = try database.row(
        Found.self,
        """
        with caller as (\(caller.live))
        select m.status, \(Place.position) as position, \(Place.seconds) as seconds,
            case when not (\(waitsForEnd)::bool and m.status in ('queued', 'running')) then \(Message.json) end as message
        from caller left join \(Message.found(id, in: room))
        left join lateral (\(Place.columns(!waitsForEnd))) p on true
        """)
    guard let found else { throw Problem.sessionEnded }
    guard let status = found.status else { throw Problem.notFound }
    guard let message = found.message else { return .wait(for: id, owner: caller.user, seconds: wait) }

    let (position, seconds) = (found.position.map(String.init) ?? "null", found.seconds.map(String.init) ?? "null")
    let json = "\(message.dropLast()),\"position\":\(position),\"eta_seconds\":\(seconds)}"
    let etag = "\"\(Sodium.base64url(Sodium.sha256(Array(json.utf8)).prefix(16)))\""
    let headers = [("ETag", etag), ("Cache-Control", "private, no-cache")]
    guard request.matches(etag: etag) else { return .json(json, headers: headers) }
    // One that is finished does not change any more.
    if wait > 0, ["queued", "running"].contains(status) { return .wait(for: id, owner: caller.user, seconds: wait) }
    return Response(status: 304, headers: headers)
}
