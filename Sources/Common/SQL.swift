/// A statement written as SQL, in which every interpolated value becomes a parameter and can become nothing else.
///
///     let room: SQL = "select title from chatrooms where user_id = \(user) and id = \(id)"
///     // select title from chatrooms where user_id = $1 and id = $2
///
/// The text depends on no value, so it is prepared once a connection. Another `SQL` may be interpolated: its text goes
/// in as it stands and its values are numbered on.
///
/// The literals are kept where the program has them, and the text is put together only to be prepared: to do it for each
/// request took a tenth of a small handler's time.
public struct SQL: ExpressibleByStringInterpolation, Equatable, Sendable {
    /// A literal, or a parameter in its place.
    struct Piece: Hashable, Sendable {
        let address: UInt
        let count: Int
        static let parameter = Piece(address: 0, count: 0)
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
            if piece == .parameter {
                number += 1
                bytes += "$\(number)".utf8
            } else {
                bytes += UnsafeBufferPointer(start: UnsafePointer(bitPattern: piece.address), count: piece.count)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    mutating func append(_ literal: StaticString) {
        if literal.utf8CodeUnitCount > 0 {
            pieces.append(Piece(address: UInt(bitPattern: literal.utf8Start), count: literal.utf8CodeUnitCount))
        }
    }

    mutating func append(parameter value: String?) {
        pieces.append(.parameter)
        values.append(value)
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
            sql.append(parameter: value?.sqlText)
        }

        /// An array some of whose elements may be NULL.
        public mutating func appendInterpolation(_ values: [(some SQLValue)?]) {
            appendInterpolation(arrayLiteral(values.map { $0?.sqlText }))
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

/// An array some of whose elements may be NULL.
public struct SQLArray: SQLValue {
    public let sqlText: String
    public init(_ elements: [(some SQLValue)?]) { sqlText = arrayLiteral(elements.map { $0?.sqlText }) }
}

/// An array in the text format of Postgres.
func arrayLiteral(_ elements: [String?]) -> String { literal("{", elements, null: "NULL", "}") }

/// A composite value in the text format of Postgres.
func compositeLiteral(_ members: [String?]) -> String { literal("(", members, null: "", ")") }

/// Every element quoted, but for nil.
private func literal(_ start: String, _ elements: [String?], null: String, _ end: String) -> String {
    var bytes = Array(start.utf8)
    bytes.reserveCapacity(elements.reduce(2) { $0 + ($1?.utf8.count ?? 4) + 3 })
    var isFirst = true
    for element in elements {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        guard let element else {
            bytes += null.utf8
            continue
        }
        bytes.append(UInt8(ascii: "\""))
        for byte in element.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }
    bytes += end.utf8
    return String(decoding: bytes, as: UTF8.self)
}
