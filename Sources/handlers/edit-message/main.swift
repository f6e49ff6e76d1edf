import Common

struct NewMessage: Decodable {
    let content: Content
    /// Of the attachments of the message that is replaced, those that stay; nil: all.
    let attachments: AttachmentIDs?
}

serve { request, database in
    let new: NewMessage = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    let once = try request.once("edit-message", room, id)
    let turn: Turn = try database.call(
        "edit_message", caller, once, room, id, new.content.text, new.attachments?.ids, Quota.limits)
    Doorbell.bell.ring()
    return try turn.accepted(in: room, content: new.content.text)
}
