import Common

struct Found: Decodable {
    let status: String
    /// NULL where the end of the reply is waited for, and nothing else is of interest.
    let json: String?
    let position: Int?
    let seconds: Int?
}

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let wait = request.hasWaited ? 0 : request.preferredWait ?? 0
    let waitsForEnd = wait > 0 && request.header("IF_NONE_MATCH") == nil
    let found: Found = try database.call("get_message", caller, room, id, waitsForEnd, Settings.model)
    guard let message = found.json else { return .wait(for: id, owner: caller.user, seconds: wait) }

    let (position, seconds) = (found.position.map(String.init) ?? "null", found.seconds.map(String.init) ?? "null")
    let json = "\(message.dropLast()),\"position\":\(position),\"eta_seconds\":\(seconds)}"
    let etag = "\"\(Sodium.base64url(Sodium.sha256(Array(json.utf8)).prefix(16)))\""
    let headers = [("ETag", etag), ("Cache-Control", "private, no-cache")]
    guard request.matches(etag: etag) else { return .json(json, headers: headers) }
    // One that is finished does not change any more.
    if wait > 0, ["queued", "running"].contains(found.status) {
        return .wait(for: id, owner: caller.user, seconds: wait)
    }
    return Response(status: 304, headers: headers)
}
