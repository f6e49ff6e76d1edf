import Common

struct Allowance: Decodable {
    /// For what is to be stored now.
    let id: ID
    let tier: String
    /// Bytes that are stored already.
    let stored: Int
}

struct Stored: Decodable {
    /// NULL where there is no room for it.
    let json: String?
}

/// What the file is called, where the sender says it.
func fileName(_ request: Request) throws -> String? {
    guard let name = request.query("name"), !name.isEmpty else { return nil }
    let hasControls = { name.unicodeScalars.contains { $0.properties.generalCategory == .control } }
    guard name.utf8.count <= 4 * 255, name.unicodeScalars.count <= 255, !hasControls() else {
        throw Problem.invalid("name", "must have at most 255 characters, and no control characters")
    }
    return name
}

serve(readingBody: false) { request, database in
    let caller = try request.caller()
    let name = try fileName(request)
    let file = FileBody(request, name: name)
    let once = try request.once(caller, "upload-attachment", hash: file.hash)
    return try once.answer(from: database) {
        guard let type = MediaType(file.head) else { throw Problem.unsupportedFile(MediaType.foreignName(file.head)) }
        guard type.isCalled(request.mediaType) else { throw Problem.misnamedFile(type, called: request.mediaType) }
        let allowance = try database.row(
            Allowance.self,
            """
            with caller as (\(caller.live) and \(once.isFirst) and \(RateLimit.attachments.allows))
            select uuidv7(clock_timestamp()) as id, \(User.tier) as tier, \(Attachment.stored) as stored
            from caller join users u on u.id = caller.user_id
            """)
        guard let allowance else { throw Problem.sessionEnded }
        let plan = Plan.of(tier: allowance.tier)
        let announced = request.contentLength ?? file.length
        guard announced <= plan.fileBytes else { throw Problem.fileTooLarge(plan) }
        guard allowance.stored + announced <= plan.storedBytes else { throw Problem.storageFull(plan) }

        return try database.transaction {
            var (number, piece) = (0, file.head)
            while !piece.isEmpty {
                try database.execute(
                    """
                    insert into attachment_pieces (user_id, attachment_id, number, data)
                    values (\(caller.user), \(allowance.id), \(number), decode(\(Sodium.base64(piece)), 'base64'))
                    """)
                (number, piece) = (number + 1, file.next())
                guard file.length <= plan.fileBytes else { throw Problem.fileTooLarge(plan) }
            }
            guard file.isComplete, type.isWhole(file) else { throw Problem.fileCutShort }
            // One of a user's at a time, so that what is stored already stays so until the commit.
            try database.execute("select pg_advisory_xact_lock(uuid_hash_extended(\(caller.user), 5))")
            let stored = try database.row(
                Stored.self,
                """
                with caller as (\(caller.live) and \(once.isFirst)), a as (
                    insert into attachments (user_id, id, media_type, bytes, name)
                    select u.id, \(allowance.id), \(type.rawValue), \(file.length)::int, \(name)
                    from caller join users u on u.id = caller.user_id
                    where \(Attachment.stored) + \(file.length)::int <= \(plan.storedBytes)::bigint
                    returning *
                ), made as (
                    select a.user_id, \(Attachment.ownJSON) as json from a
                ), kept as (\(once.keep("select user_id, to_json(json::text) from made")))
                select made.json from caller left join made on true
                """)
            guard let stored else { throw Problem.sessionEnded }
            guard let json = stored.json else { throw Problem.storageFull(plan) }
            return json
        }
    } as: { attachment in
        .json(attachment, status: 201)
    }
}

extension Problem {
    /// - Parameter name: what it is, where that is known.
    static func unsupportedFile(_ name: String?) -> Problem {
        let found = name.map { " These bytes are \($0)." } ?? ""
        return Problem(
            415, "unsupported_media_type", "The body must be a PNG, JPEG, WebP, HEIC, HEIF or PDF file.\(found)")
    }

    /// - Parameter name: what the header said, which is only repeated where it is a media type.
    static func misnamedFile(_ type: MediaType, called name: String) -> Problem {
        let said = name.wholeMatch(of: /[a-z0-9.+-]{1,40}\/[a-z0-9.+-]{1,80}/) == nil ? "something else" : name
        return Problem(
            415, "unsupported_media_type",
            """
            The bytes are \(type.rawValue), but Content-Type says \(said). Send Content-Type: \(type.rawValue), or \
            application/octet-stream to leave it to the bytes.
            """)
    }

    static let fileCutShort = invalid("body", "is cut short: the end of the file is missing")

    static func fileTooLarge(_ plan: Plan) -> Problem {
        Problem(413, "body_too_large", "The file is larger than the \(plan.fileBytes >> 20) MB of your plan.")
    }

    static func storageFull(_ plan: Plan) -> Problem {
        Problem(
            409, "storage_full",
            "Your files would have more than the \(plan.storedBytes >> 20) MB of your plan; delete some first.")
    }
}
