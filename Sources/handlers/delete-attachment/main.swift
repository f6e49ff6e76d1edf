import Common

struct Deleted: Decodable {
    /// NULL where there is no such attachment of the caller's.
    let id: ID?
    let wasSent: Bool?

    enum CodingKeys: String, CodingKey {
        case id
        case wasSent = "was_sent"
    }
}

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("ATTACHMENT_ID")
    // Whoever sends it at this moment is waited for.
    let deleted = try database.row(
        Deleted.self,
        """
        with caller as (\(caller.live)), found as (
            select a.user_id, a.id, a.chatroom_id from caller
            join \(Attachment.found(id)) for update of a
        ), gone as (
            delete from attachments a using found f
            where a.user_id = f.user_id and a.id = f.id and f.chatroom_id is null
        )
        select f.id, f.chatroom_id is not null as was_sent from caller left join found f on true
        """)
    guard let deleted else { throw Problem.sessionEnded }
    guard deleted.id != nil else { throw Problem.notFound }
    if deleted.wasSent == true {
        throw Problem(409, "attachment_sent", "A message has this attachment; it goes when the message does.")
    }
    return Response(status: 204)
}
