/// Which part of a list a caller asks for: `?limit=` and `?cursor=`.
public struct Page: Sendable {
    /// How many entries, 1 to 100.
    public let limit: Int
    /// The place after which the page starts, as the list's own keys; empty for the first page.
    public let after: [String]

    /// - Parameter keys: how many keys a place in this list has.
    public init(_ request: Request, keys: Int) throws {
        let limit = request.query("limit").map { Int($0) } ?? 50
        guard let limit, (1...100).contains(limit) else {
            throw Problem(
                422, "invalid", "limit must be a whole number from 1 to 100.",
                fields: [.init("must be a whole number from 1 to 100", at: [Parameter("limit")])])
        }
        self.limit = limit
        guard let cursor = request.query("cursor"), !cursor.isEmpty else {
            after = []
            return
        }
        let text = Sodium.decode(cursor).flatMap { String(validating: $0, as: UTF8.self) }
        let after = text?.split(separator: " ").map(String.init) ?? []
        guard after.count == keys, Page.isPlace(after) else {
            throw Problem(
                422, "invalid", "cursor must be the next_cursor of an earlier page.",
                fields: [.init("must be the next_cursor of an earlier page", at: [Parameter("cursor")])])
        }
        self.after = after
    }

    /// The members of the answer: the entries that were found, of which one more than `limit` says that another page
    /// follows, and the cursor of that page, which names the last entry shown.
    /// - Parameter keys: the place of the entry with this index, as the list's keys.
    public func members(_ name: String, _ entries: [String], keys: (Int) -> [String]) -> String {
        let hasMore = entries.count > limit
        let cursor = hasMore ? "\"\(Sodium.base64url(keys(limit - 1).joined(separator: " ").utf8))\"" : "null"
        return "\"\(name)\":[\(entries.prefix(limit).joined(separator: ","))],\"next_cursor\":\(cursor)"
    }

    /// An id, before which there may be times, as microseconds since 1970: all that lists are ordered by. What passes here
    /// is a value of its type in Postgres too.
    private static func isPlace(_ keys: [String]) -> Bool {
        keys.last.flatMap { ID($0) } != nil
            && keys.dropLast().allSatisfy { Int($0).map((0...253_402_300_799_999_999).contains) ?? false }
    }
}

private struct Parameter: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}
