/// Which part of a list a caller asks for: `?limit=` and `?cursor=`.
///
/// A cursor is the place after which a page starts, as the list's own keys, signed by a key of `TOKEN_KEYS` for its list and its
/// user: of another it is refused, and so is one that somebody made. It tells its owner nothing that the page before did not.
public struct Page: Sendable {
    /// How many entries, 1 to 100.
    public let limit: Int
    /// The place after which the page starts, as the list's own keys; empty for the first page.
    public let after: [String]
    /// What a cursor is good for.
    private let scope: String

    private static let signatureLength = 16

    /// - Parameters:
    ///   - list: the name of the list, with whatever else decides on what is in it.
    ///   - keys: how many keys a place in it has; none may have a space in it.
    public init(_ request: Request, of list: String, caller: Caller, keys: Int) throws {
        let limit = request.query("limit").map { Int($0) } ?? 50
        guard let limit, (1...100).contains(limit) else {
            throw Problem.invalid("limit", "must be a whole number from 1 to 100")
        }
        self.limit = limit
        scope = "\(caller.user) \(list)\n"
        guard let cursor = request.query("cursor"), !cursor.isEmpty else {
            after = []
            return
        }
        guard let place = Page.place(cursor, scope: scope), place.count == keys else {
            throw Problem.invalid("cursor", "must be the next_cursor of an earlier page")
        }
        after = place
    }

    /// The members of the answer: the entries that were found, of which one more than `limit` says that another page
    /// follows, and the cursor of that page, which names the last entry shown.
    /// - Parameter keys: the place of the entry with this index, as the list's keys.
    public func members(_ name: String, _ entries: [String], keys: (Int) -> [String]) -> String {
        let hasMore = entries.count > limit
        let cursor = hasMore ? "\"\(cursor(keys(limit - 1)))\"" : "null"
        return "\"\(name)\":[\(entries.prefix(limit).joined(separator: ","))],\"next_cursor\":\(cursor)"
    }

    /// The whole answer, where the statement that starts from `Caller.live` and joins to it, with an outer join, one entry more than
    /// `limit`, selects of each its `place`, its keys with spaces between, and its JSON as `entry`.
    /// - Parameter json: makes of an `entry` what the answer has of it.
    public func answer(
        _ name: String, from database: Database, _ statement: SQL, as json: (String) throws -> String = { $0 }
    ) throws -> Response {
        let rows = try database.rows(Row.self, statement)
        if rows.isEmpty { throw Problem.sessionEnded }
        let entries = rows.filter { $0.place != nil }
        return .json(
            "{\(members(name, try entries.compactMap(\.entry).map(json)) { [entries[$0].place ?? ""] })}")
    }

    private struct Row: Decodable {
        let place: String?
        let entry: String?
    }

    /// A time among the keys of a place, which are microseconds since 1970.
    public static func time(_ key: String?) -> SQL {
        "'epoch'::timestamptz + \(key)::bigint * interval '1 microsecond'"
    }

    /// A time, as such a key.
    public static func key(_ time: SQL) -> SQL { "(extract(epoch from \(time)) * 1000000)::bigint" }

    private func cursor(_ place: [String]) -> String {
        let text = place.joined(separator: " ")
        return Sodium.base64url(Page.signature(text, scope: scope, key: .signing()) + text.utf8)
    }

    private static func place(_ cursor: String, scope: String) -> [String]? {
        guard let bytes = Sodium.decode(cursor), bytes.count > signatureLength,
            let text = String(validating: bytes.dropFirst(signatureLength), as: UTF8.self),
            Settings.tokenKeys.contains(where: { key in
                Sodium.equal(Array(bytes.prefix(signatureLength)), signature(text, scope: scope, key: key))
            })
        else { return nil }
        return text.split(separator: " ").map(String.init)
    }

    private static func signature(_ text: String, scope: String, key: TokenKey) -> [UInt8] {
        Array(Sodium.hmac((scope + text).utf8, key: key.cursorSecret).prefix(signatureLength))
    }
}
