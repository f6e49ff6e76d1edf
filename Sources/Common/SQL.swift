/// A statement written as SQL, in which every interpolated value becomes a parameter and can become nothing else.
///
///     let room: SQL = "select title from chatrooms where user_id = \(user) and id = \(id)"
///     // select title from chatrooms where user_id = $1 and id = $2
///
/// The text depends on no value, so it is prepared once a connection. Another `SQL` may be interpolated: its text goes
/// in as it stands and its values are numbered on.
///
/// A statement may do for several what it does for one: where a value is interpolated as `\(each: …)`, it is an array of the values
/// of each, and their rows tell by a column `number` (from 1) whose they are. `merged` makes one of such statements.
///
///     select number, title
///     from unnest(\(each: user)::uuid[], \(each: id)::uuid[]) with ordinality as n (user_id, id, number) join chatrooms using (user_id, id)
///
/// The literals are kept where the program has them, and the text is put together only to be prepared: to do it for each
/// request took a tenth of a small handler's time.
public struct SQL: ExpressibleByStringInterpolation, Equatable, Sendable {
    /// A literal, or a parameter in its place.
    struct Piece: Hashable, Sendable {
        let address: UInt
        let count: Int
        static let parameter = Piece(address: 0, count: 0)
        /// A parameter that is an array of the values of each.
        static let each = Piece(address: 0, count: 1)
        var isValue: Bool { address == 0 }
    }

    /// Statements of the same pieces have the same text.
    private(set) var pieces: [Piece] = []
    /// The values in the text format of Postgres; nil is NULL.
    public private(set) var values: [String?] = []

    public init(stringLiteral literal: StaticString) { append(literal) }
    public init(stringInterpolation: Interpolation) { self = stringInterpolation.sql }

    /// A text that is made at run time, never of what somebody sent. It stays in memory.
    public init(made text: String) {
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
        _ = copy.initialize(from: text.utf8)
        pieces = [Piece(address: UInt(bitPattern: copy.baseAddress), count: copy.count)]
    }

    /// The text with `$1`, `$2`, ….
    public var text: String {
        var bytes: [UInt8] = []
        var number = 0
        for piece in pieces {
            if piece.isValue {
                number += 1
                bytes += "$\(number)".utf8
            } else {
                bytes += UnsafeBufferPointer(start: UnsafePointer(bitPattern: piece.address), count: piece.count)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The indices of statements, those together that can be merged: they differ only in the values of each.
    static func kinds(of statements: [SQL]) -> [[Int]] {
        var kinds: [[Int]] = []
        for index in statements.indices {
            if let kind = kinds.firstIndex(where: { statements[$0[0]].isLike(statements[index]) }) {
                kinds[kind].append(index)
            } else {
                kinds.append([index])
            }
        }
        return kinds
    }

    private func isLike(_ other: SQL) -> Bool {
        guard pieces == other.pieces, pieces.contains(.each) else { return false }
        // By their bytes: to ==, ways to write one character are equal.
        func bytes(_ text: String?) -> [UInt8]? { text.map { Array($0.utf8) } }
        return zip(pieces.filter(\.isValue), zip(values, other.values)).allSatisfy { piece, values in
            piece == .each || bytes(values.0) == bytes(values.1)
        }
    }

    /// One statement for all of these, which are of one kind: the nth has the number n.
    static func merged(_ statements: [SQL]) -> SQL {
        guard var sql = statements.first, statements.count > 1 else { return statements[0] }
        for (index, piece) in sql.pieces.filter(\.isValue).enumerated() where piece == .each {
            sql.values[index] =
                "{" + statements.map { $0.values[index]?.dropFirst().dropLast() ?? "" }.joined(separator: ",") + "}"
        }
        return sql
    }

    private mutating func append(_ literal: StaticString) {
        if literal.utf8CodeUnitCount > 0 {
            pieces.append(Piece(address: UInt(bitPattern: literal.utf8Start), count: literal.utf8CodeUnitCount))
        }
    }

    /// Collects the pieces of an interpolated literal.
    public struct Interpolation: StringInterpolationProtocol {
        fileprivate var sql = SQL(stringLiteral: "")

        public init(literalCapacity: Int, interpolationCount: Int) {
            sql.pieces.reserveCapacity(8 * interpolationCount + 1)
            sql.values.reserveCapacity(2 * interpolationCount)
        }

        public mutating func appendLiteral(_ literal: StaticString) { sql.append(literal) }

        public mutating func appendInterpolation(_ value: (some SQLValue)?) {
            sql.pieces.append(.parameter)
            sql.values.append(value?.sqlText)
        }

        /// An array some of whose elements may be NULL.
        public mutating func appendInterpolation(_ values: [(some SQLValue)?]) {
            appendInterpolation(arrayLiteral(values.map { $0?.sqlText }))
        }

        /// The value of one, where there may be those of others.
        public mutating func appendInterpolation(each value: (some SQLValue)?) {
            sql.pieces.append(.each)
            sql.values.append(arrayLiteral([value?.sqlText]))
        }

        public mutating func appendInterpolation(_ fragment: SQL) {
            sql.pieces += fragment.pieces
            sql.values += fragment.values
        }
    }
}

/// A value that a statement can carry, as the text that Postgres reads for its type.
public protocol SQLValue: Sendable {
    /// The text format of Postgres (documentation, "Data Types").
    var sqlText: String { get }
}

extension String: SQLValue { public var sqlText: String { self } }
extension Int: SQLValue { public var sqlText: String { String(self) } }
extension Double: SQLValue { public var sqlText: String { String(self) } }
extension Bool: SQLValue { public var sqlText: String { self ? "t" : "f" } }
extension ID: SQLValue { public var sqlText: String { text } }

extension Array: SQLValue where Element: SQLValue {
    public var sqlText: String { arrayLiteral(map(\.sqlText)) }
}

/// An array in the text format of Postgres: every element quoted, but for nil, which is NULL.
private func arrayLiteral(_ elements: [String?]) -> String {
    var bytes = [UInt8(ascii: "{")]
    bytes.reserveCapacity(elements.reduce(2) { $0 + ($1?.utf8.count ?? 4) + 3 })
    for element in elements {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        guard let element else {
            bytes += "NULL".utf8
            continue
        }
        bytes.append(UInt8(ascii: "\""))
        for byte in element.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }
    bytes.append(UInt8(ascii: "}"))
    return String(decoding: bytes, as: UTF8.self)
}
