import Common

struct NewShare: Decodable {
    let expiresInDays: ShareDays?

    enum CodingKeys: String, CodingKey { case expiresInDays = "expires_in_days" }
}

serve { request, database in
    let new: NewShare = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let once = try request.once("share-chatroom", room)
    let id = Sodium.uuid()
    let hash = Share.hash(of: Share.token(user: caller.user, id: id))
    let share: JSONAnswer = try database.call(
        "share_chatroom", caller, once, RateLimit.sharing.perMinute, room, id, hash,
        new.expiresInDays?.count ?? Settings.shareDays, Settings.shareBytes, Settings.shares)
    return .json(
        try Share.answer(share.json), status: 201,
        headers: Response.replayHeaders(share.verdict) + Standing.headers(share.standing))
}
