import Common

/// What is to change; a member that is missing stays as it is.
struct Changes: Decodable {
    /// NULL has the room find another.
    let title: Change<Title>
    let systemInstruction: Change<SystemInstruction>
    /// NULL is the operator's.
    let model: Change<Model>
    let pinned: Change<Bool>
    let archived: Change<Bool>
    /// NULL is as long as the user keeps all messages.
    let retentionDays: Change<RetentionDays>

    enum CodingKeys: String, CodingKey {
        case title, model, pinned, archived
        case systemInstruction = "system_instruction"
        case retentionDays = "retention_days"
    }

    init(from decoder: any Decoder) throws {
        let body = try decoder.container(keyedBy: CodingKeys.self)
        title = try body.change(.title)
        systemInstruction = try body.change(.systemInstruction)
        model = try body.change(.model)
        pinned = try body.changeOfRequired(.pinned)
        archived = try body.changeOfRequired(.archived)
        retentionDays = try body.change(.retentionDays)
    }
}

struct Changed: Decodable {
    /// Whether the plan allows it; NULL where there is no such room of the caller's.
    let allowed: Bool?
    /// NULL where nothing was changed.
    let json: String?
}

serve { request, database in
    let changes: Changes = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let changed = try database.row(
        Changed.self,
        """
        with caller as (\(caller.live) and \(RateLimit.rooms.allows)), old as (
            select r.user_id, r.id, \(Plan.allows(changes.model.value)) as allowed
            from caller join users u on u.id = caller.user_id join \(Chatroom.found(room))
        ), changed as (
            update chatrooms r set
                title = \(changes.title.or("r.title")),
                system_instruction = \(changes.systemInstruction.or("r.system_instruction")),
                model = \(changes.model.or("r.model")),
                pinned = \(changes.pinned.or("r.pinned")),
                archived = \(changes.archived.or("r.archived")),
                retention_days = \(changes.retentionDays.or("r.retention_days")),
                changed_at = clock_timestamp(), sweep_at = now()
            from old where r.user_id = old.user_id and r.id = old.id and r.deleted_at is null and old.allowed
            returning r.*
        )
        select old.allowed, case when r.id is not null then \(Chatroom.json) end as json, forget_chatroom_list(r.user_id)
        from caller left join old on true left join changed r on true left join lateral (\(Chatroom.updated)) a on true
        """)
    guard let changed else { throw Problem.sessionEnded }
    if changed.allowed == false { throw Problem.planForbids }
    guard let json = changed.json else { throw Problem.notFound }
    return .json(json)
}
