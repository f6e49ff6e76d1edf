import Common

struct Found: Decodable {
    /// NULL where there is no such attachment of the caller's.
    let mediaType: String?
    let bytes: Int?
    let name: String?

    enum CodingKeys: String, CodingKey {
        case bytes, name
        case mediaType = "media_type"
    }
}

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("ATTACHMENT_ID")
    let found = try database.row(
        Found.self,
        """
        with caller as (\(caller.live))
        select a.media_type, a.bytes, a.name
        from caller left join \(Attachment.found(id))
        """)
    guard let found else { throw Problem.sessionEnded }
    guard let type = found.mediaType, let bytes = found.bytes else { throw Problem.notFound }
    // It never changes, but it may be deleted.
    let caching = [("ETag", "\"\(id)\""), ("Cache-Control", "private, no-cache")]
    if request.matches(etag: "\"\(id)\"") { return Response(status: 304, headers: caching) }

    // Whatever is in it, a browser shows it as this type or not at all, and runs nothing of it.
    let headers = [
        ("Content-Type", type), ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"), ("Content-Length", String(bytes)),
        ("Content-Disposition", disposition(type, found.name ?? "attachment")),
    ]
    return .stream(headers: headers + caching) { write in
        for piece in Attachment.pieces(of: id, bytes: bytes, user: caller.user, database: database) {
            guard let data = Sodium.decode(try piece.base64(), standard: true) else { throw Problem.internalError }
            try write(data)
        }
    }
}

/// Shown where it is a picture, else saved, under its name (RFC 6266, RFC 8187).
func disposition(_ type: String, _ name: String) -> String {
    let encoded = name.utf8.map { byte in
        let character = Character(Unicode.Scalar(byte))
        return character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
            ? String(character) : "%" + [byte].hex.uppercased()
    }
    return "\(type.hasPrefix("image/") ? "inline" : "attachment"); filename*=UTF-8''\(encoded.joined())"
}
