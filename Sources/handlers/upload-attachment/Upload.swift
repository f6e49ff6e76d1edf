import Common

/// A file that somebody sends.
struct Upload {
    private let request: Request
    private let caller: Caller
    private let name: String?
    private let file: FileBody
    private let once: Once?

    private static let fileLimits = [Plan.basic.fileBytes, Plan.pro.fileBytes]
    private static let storedLimits = [Plan.basic.storedBytes, Plan.pro.storedBytes]

    /// What may be stored now.
    private struct Begun: Decodable {
        let id: ID
        let tier: String
        let standing: Standing?
    }

    private struct Kept: Decodable {
        /// NULL where there is no answer.
        let json: String?
    }

    init(_ request: Request) throws {
        self.request = request
        caller = try request.caller()
        name = try Upload.name(request)
        file = FileBody(request, name: name)
        once = try request.once("upload-attachment", hash: file.hash)
    }

    /// What the file is called, where the sender says it.
    private static func name(_ request: Request) throws -> String? {
        guard let name = request.query("name"), !name.isEmpty else { return nil }
        let hasControls = { name.unicodeScalars.contains { $0.properties.generalCategory == .control } }
        guard name.utf8.count <= 4 * 255, name.unicodeScalars.count <= 255, !hasControls() else {
            throw Problem.invalid("name", "must have at most 255 characters, and no control characters")
        }
        return name
    }

    func store(_ database: Database) throws -> Response {
        guard let type = MediaType(file.head) else { throw Problem.unsupportedFile(MediaType.foreignName(file.head)) }
        guard type.isCalled(request.mediaType) else { throw Problem.misnamedFile(type, called: request.mediaType) }
        // The body's hash is known when all of it has been read.
        let key = try request.once("upload-attachment") { "" }
        let begun: Begun = try database.call(
            "upload_attachment_begin", caller, key, RateLimit.attachments.perMinute,
            request.contentLength ?? file.length,
            Upload.fileLimits, Upload.storedLimits)
        let headers = Standing.headers(begun.standing)
        do {
            let stored: JSONAnswer = try database.transaction {
                try storePieces(as: begun, database)
                guard file.isComplete, type.isWhole(file) else { throw Problem.fileCutShort }
                return try database.call(
                    "upload_attachment", caller, once, begun.id, type.rawValue, file.length, name, Upload.storedLimits)
            }
            return .json(stored, status: 201, headers: headers)
        } catch let error where error is Problem || error is Refusal {
            var problem = Problem(telling: error, requestID: request.id)
            problem.headers += headers
            throw problem
        }
    }

    private func storePieces(as begun: Begun, _ database: Database) throws {
        let plan = Plan.of(tier: begun.tier)
        var (number, piece) = (0, file.head)
        while !piece.isEmpty {
            let _: Done = try database.call(
                "upload_attachment_piece", caller, begun.id, number, Sodium.base64(piece))
            (number, piece) = (number + 1, file.next())
            guard file.length <= plan.fileBytes else { throw Problem.fileTooLarge(plan) }
        }
    }

    /// The answer that was given before; nil where there is none.
    func kept(_ database: Database) throws -> String? {
        guard let once else { return nil }
        let kept: Kept = try database.call("upload_attachment_kept", caller, once)
        return kept.json
    }
}

extension Problem {
    /// - Parameter name: what it is, where that is known.
    fileprivate static func unsupportedFile(_ name: String?) -> Problem {
        let found = name.map { " These bytes are \($0)." } ?? ""
        return Problem(
            415, "unsupported_media_type", "The body must be a PNG, JPEG, WebP, HEIC, HEIF or PDF file.\(found)")
    }

    /// - Parameter name: what the header said, which is only repeated where it is a media type.
    fileprivate static func misnamedFile(_ type: MediaType, called name: String) -> Problem {
        let said = name.wholeMatch(of: /[a-z0-9.+-]{1,40}\/[a-z0-9.+-]{1,80}/) == nil ? "something else" : name
        return Problem(
            415, "unsupported_media_type",
            """
            The bytes are \(type.rawValue), but Content-Type says \(said). Send Content-Type: \(type.rawValue), or \
            application/octet-stream to leave it to the bytes.
            """)
    }

    fileprivate static let fileCutShort = invalid("body", "is cut short: the end of the file is missing")
}
