import Common

struct Found: Decodable {
    let mediaType: String
    let bytes: Int
    let name: String?

    enum CodingKeys: String, CodingKey {
        case bytes, name
        case mediaType = "media_type"
    }
}

struct Piece: Decodable { let base64: String }

serve { request, database in
    let caller = try request.caller()
    let id = try request.pathID("ATTACHMENT_ID")
    let found: Found = try database.call("get_attachment", caller, id)
    // It never changes, but it may be deleted.
    let caching = [("ETag", "\"\(id)\""), ("Cache-Control", "private, no-cache")]
    if request.matches(etag: "\"\(id)\"") { return Response(status: 304, headers: caching) }

    // Whatever is in it, a browser shows it as this type or not at all, and runs nothing of it.
    let headers = [
        ("Content-Type", found.mediaType), ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"), ("Content-Length", String(found.bytes)),
        ("Content-Disposition", disposition(found.mediaType, found.name ?? "attachment")),
    ]
    return .stream(headers: headers + caching) { write in
        for (number, start) in stride(from: 0, to: found.bytes, by: Attachment.pieceLength).enumerated() {
            let piece: Piece = try database.call("get_attachment_piece", caller, id, number)
            guard let data = Sodium.decode(piece.base64, standard: true) else { throw Problem.internalError }
            guard data.count == min(Attachment.pieceLength, found.bytes - start) else { throw Problem.notFound }
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
