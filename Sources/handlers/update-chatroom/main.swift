import Common

/// What is to change; a member that is missing stays as it is.
struct Changes: Decodable {
    /// The members that are there, of which some may be null.
    let named: [String]
    /// NULL has the room find another.
    let title: Title?
    let systemInstruction: SystemInstruction?
    /// NULL is the operator's.
    let model: Model?
    let pinned: Bool?
    let archived: Bool?
    /// NULL is as long as the user keeps all messages.
    let retentionDays: RetentionDays?

    enum CodingKeys: String, CodingKey {
        case title, model, pinned, archived
        case systemInstruction = "system_instruction"
        case retentionDays = "retention_days"
    }

    init(from decoder: any Decoder) throws {
        let body = try decoder.container(keyedBy: CodingKeys.self)
        named = body.allKeys.map(\.stringValue)
        title = try body.decodeIfPresent(Title.self, forKey: .title)
        systemInstruction = try body.decodeIfPresent(SystemInstruction.self, forKey: .systemInstruction)
        model = try body.decodeIfPresent(Model.self, forKey: .model)
        // These two may not be null.
        pinned = body.contains(.pinned) ? try body.decode(Bool.self, forKey: .pinned) : nil
        archived = body.contains(.archived) ? try body.decode(Bool.self, forKey: .archived) : nil
        retentionDays = try body.decodeIfPresent(RetentionDays.self, forKey: .retentionDays)
    }
}

serve { request, database in
    let changes: Changes = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let changed: JSONAnswer = try database.call(
        "update_chatroom", caller, RateLimit.rooms.perMinute, room, changes.named, changes.title,
        changes.systemInstruction,
        changes.model, changes.pinned, changes.archived, changes.retentionDays, Plan.basic.models, Plan.pro.models,
        Settings.model)
    return .json(changed)
}
