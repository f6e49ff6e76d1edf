/// A statement written as SQL, in which every interpolated value becomes a parameter and can become nothing else.
///
///     let room: SQL = "select title from chatrooms where user_id = \(user) and id = \(id)"
///     // select title from chatrooms where user_id = $1 and id = $2
///
/// The text depends on no value, so it is prepared once a connection. Another `SQL` may be interpolated: its text goes
/// in as it stands and its values are numbered on.
public struct SQL: ExpressibleByStringInterpolation, Sendable {
    /// The text with `$1`, `$2`, ….
    public private(set) var text = ""
    /// The values in the text format of Postgres; nil is NULL.
    public private(set) var values: [String?] = []

    public init(stringLiteral text: String) { self.text = text }
    public init(stringInterpolation: Interpolation) { self = stringInterpolation.sql }

    /// Collects the pieces of an interpolated literal.
    public struct Interpolation: StringInterpolationProtocol {
        fileprivate var sql = SQL(stringLiteral: "")

        public init(literalCapacity: Int, interpolationCount: Int) {
            sql.text.reserveCapacity(literalCapacity + 3 * interpolationCount)
            sql.values.reserveCapacity(interpolationCount)
        }

        public mutating func appendLiteral(_ literal: String) { sql.text += literal }

        /// Written once: to put a number into a string takes longer than all else here.
        private static let placeholders = (0..<100).map { "$\($0)" }
        private static func placeholder(_ number: Int) -> String {
            number < placeholders.count ? placeholders[number] : "$\(number)"
        }

        public mutating func appendInterpolation(_ value: (some SQLValue)?) {
            sql.values.append(value?.sqlText)
            sql.text += Interpolation.placeholder(sql.values.count)
        }

        /// An array some of whose elements may be NULL.
        public mutating func appendInterpolation(_ values: [(some SQLValue)?]) {
            appendInterpolation(arrayLiteral(values.map { $0?.sqlText }))
        }

        public mutating func appendInterpolation(_ fragment: SQL) {
            let offset = sql.values.count
            sql.values += fragment.values
            guard offset > 0, !fragment.values.isEmpty else { return sql.text += fragment.text }
            var pieces = fragment.text.split(separator: "$", omittingEmptySubsequences: false)[...]
            sql.text += pieces.removeFirst()
            for piece in pieces {
                let digits = piece.prefix { $0.isNumber }
                sql.text += Int(digits).map { "$\($0 + offset)" } ?? "$\(digits)"
                sql.text += piece.dropFirst(digits.count)
            }
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
    var result = "{"
    for element in elements {
        if result.utf8.count > 1 { result += "," }
        guard let element else {
            result += "NULL"
            continue
        }
        result += "\""
        if element.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
            for scalar in element.unicodeScalars {
                if scalar == "\"" || scalar == "\\" { result += "\\" }
                result.unicodeScalars.append(scalar)
            }
        } else {
            result += element
        }
        result += "\""
    }
    return result + "}"
}
