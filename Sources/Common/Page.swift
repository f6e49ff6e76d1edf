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

    /// The members of the answer: the entries and the cursor of the next page.
    /// - Parameters:
    ///   - rows: what a function gives, one more than `limit` at most, which says that another page follows.
    ///   - json: makes of an `entry` what the answer has of it.
    public func members(
        _ name: String, _ rows: [Row], as json: (String) throws -> String = { $0 }
    ) throws -> String {
        let entries = try rows.prefix(limit).map { try json($0.entry) }
        return members(name, entries.joined(separator: ","), next: rows.count > limit ? rows[limit - 1].place : "")
    }

    /// The same, where the entries are put together already.
    public func members(_ name: String, _ entries: String, next: String) -> String {
        "\"\(name)\":[\(entries)\(end(next: next))"
    }

    /// What follows the entries.
    /// - Parameter next: the place of the last of them; empty where no page follows.
    private func end(next: String) -> String {
        "],\"next_cursor\":\(next.isEmpty ? "null" : "\"\(cursor(next))\"")"
    }

    /// The whole answer, as its bytes, where the entries are put together already: `next`, a new line, and the entries.
    public func answer(_ name: String, _ page: [UInt8]) -> [UInt8] {
        let place = page.prefix { $0 != UInt8(ascii: "\n") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(page.count + 256)
        bytes += "{\"\(name)\":[".utf8
        bytes += page.dropFirst(place.count + 1)
        bytes += "\(end(next: String(decoding: place, as: UTF8.self)))}".utf8
        return bytes
    }

    /// The whole answer.
    public func answer(
        _ name: String, _ rows: [Row], as json: (String) throws -> String = { $0 }
    ) throws -> Response { .json("{\(try members(name, rows, as: json))}") }

    /// An entry of a list, as functions give it: its JSON, and its place, which is the list's keys with spaces between.
    public struct Row: Decodable {
        public let place: String
        public let entry: String
    }

    private func cursor(_ text: String) -> String {
        Sodium.base64url(Page.signature(text, scope: scope, key: Settings.tokenKeys.first(.cursor)) + text.utf8)
    }

    private static func place(_ cursor: String, scope: String) -> [String]? {
        guard let bytes = Sodium.decode(cursor), bytes.count > signatureLength,
            let text = String(validating: bytes.dropFirst(signatureLength), as: UTF8.self),
            Settings.tokenKeys[.cursor].contains(where: { key in
                Sodium.equal(Array(bytes.prefix(signatureLength)), signature(text, scope: scope, key: key))
            })
        else { return nil }
        return text.split(separator: " ").map(String.init)
    }

    private static func signature(_ text: String, scope: String, key: TokenKey) -> [UInt8] {
        Array(Sodium.hmac((scope + text).utf8, key: key.bytes).prefix(signatureLength))
    }
}

extension Page {
    /// Of the messages on the branch that a room shows, which `list_messages` and `get_chatroom` give.
    public static func ofMessages(_ request: Request, in room: ID, caller: Caller) throws -> Page {
        try Page(request, of: "messages \(room)", caller: caller, keys: 1)
    }
}
