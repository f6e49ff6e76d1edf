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
        guard after.count == keys, after.allSatisfy(Page.isKey) else {
            throw Problem(
                422, "invalid", "cursor must be the next_cursor of an earlier page.",
                fields: [.init("must be the next_cursor of an earlier page", at: [Parameter("cursor")])])
        }
        self.after = after
    }

    /// The cursor of the page that follows, if one more entry than `limit` was found: it names the last one shown.
    public func next(found: Int, last: [String]) -> String? {
        found > limit ? Sodium.base64url(last.joined(separator: " ").utf8) : nil
    }

    /// Ids and times, which is all that lists are ordered by.
    private static func isKey(_ key: String) -> Bool {
        ID(key) != nil
            || key.utf8.count <= 32 && key.hasSuffix("Z") && key.utf8.allSatisfy { "0123456789-:.TZ".utf8.contains($0) }
    }
}

private struct Parameter: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}
