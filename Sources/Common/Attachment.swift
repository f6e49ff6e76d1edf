/// A picture or a document that goes with a message.
public enum Attachment {
    /// Bytes of each of its pieces but the last: the base64 of one needs no padding and can be followed by the next.
    public static let pieceLength = 98_304
    /// The most bytes that the attachments of one message have together, and that go along with a conversation.
    public static let longestOfMessage = Settings.number("ATTACHMENTS_MB_PER_CALL", default: 14, in: 1...70) << 20

    /// The answer's JSON, of the table `attachments` under the name `a`.
    public static let json: SQL = "(select row_to_json(j) from (select a.id, a.media_type, a.bytes, a.name) j)"

    /// The JSON of those whose ids are in the array `ids`, of the user `owner`, in this order.
    public static func list(_ ids: SQL, of owner: SQL) -> SQL {
        """
        (select coalesce(json_agg(\(json) order by x.number), '[]')
        from unnest(\(ids)) with ordinality as x (id, number)
        join attachments a on a.user_id = \(owner) and a.id = x.id)
        """
    }
}

extension Attachment {
    /// A part of the bytes of one, to be fetched when it is needed.
    public struct Piece {
        /// The length of its base64.
        public let base64Length: Int
        let user: ID
        let attachment: ID
        let number: Int
        let database: Database

        /// Fetches it; 404 where it has been deleted.
        public func base64() throws -> String {
            let text = try database.row(
                String.self,
                """
                select replace(encode(p.data, 'base64'), E'\\n', '') from attachment_pieces p
                where p.user_id = \(user) and p.attachment_id = \(attachment) and p.number = \(number)::int
                """)
            guard let text, text.utf8.count == base64Length else { throw Problem.notFound }
            return text
        }
    }

    /// All that there is of one of so many bytes, from its start.
    public static func pieces(of id: ID, bytes: Int, user: ID, database: Database) -> [Piece] {
        stride(from: 0, to: bytes, by: pieceLength).enumerated().map { number, start in
            Piece(
                base64Length: (min(pieceLength, bytes - start) + 2) / 3 * 4, user: user, attachment: id, number: number,
                database: database)
        }
    }
}

/// Attachments as a request names them: up to 10 different ones.
public struct AttachmentIDs: Decodable, Sendable {
    public let ids: [ID]

    public init(from decoder: any Decoder) throws {
        let list = try? decoder.singleValueContainer().decode([ID].self)
        guard let list, list.count <= 10, Set(list).count == list.count else {
            throw Problem.Field("must be a list of at most 10 different ids", at: decoder.codingPath)
        }
        ids = list
    }
}
