import CPQ
import FoundationEssentials

/// A value that its column holds as `json` or `jsonb`.
public protocol JSONColumn: Decodable {}

/// Decodes a row: members by the names of columns, or a single value out of the first column.
struct RowDecoder: Decoder {
    let result: Result
    let row: Int32
    /// Set while the value of one column is decoded.
    var cell: (column: Int32, name: String)?
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(result: Result, row: Int32) {
        self.result = result
        self.row = row
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(Columns(decoder: self))
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        guard cell == nil else { return Cell(decoder: self) }
        var first = self
        first.cell = (0, "1")
        return Cell(decoder: first)
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw DatabaseError.mismatch("a row has no unkeyed values; a jsonb column can have them, as a JSONColumn")
    }

    fileprivate func value<Value: Decodable>(_ type: Value.Type, column: Int32, name: String) throws -> Value {
        guard let bytes = result.bytes(row: row, column: column) else {
            throw DatabaseError.mismatch("column \(name) is NULL")
        }
        func required<Parsed>(_ parsed: Parsed?) throws -> Value {
            guard let value = parsed as? Value else { throw DatabaseError.mismatch("column \(name) is no \(type)") }
            return value
        }
        switch type {
        case is String.Type: return try required(String(decoding: bytes, as: UTF8.self))
        case is Int.Type: return try required(Int(String(decoding: bytes, as: UTF8.self)))
        case is Bool.Type: return try required(bytes.first == UInt8(ascii: "t"))
        case is Double.Type: return try required(Double(String(decoding: bytes, as: UTF8.self)))
        case is any JSONColumn.Type: return try JSONDecoder().decode(Value.self, from: Data(bytes))
        default:
            var one = self
            one.cell = (column, name)
            return try Value(from: one)
        }
    }
}

private struct Columns<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: RowDecoder
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { decoder.result.columns.keys.compactMap(Key.init(stringValue:)) }

    private func column(_ key: Key) throws -> Int32 {
        guard let column = decoder.result.columns[key.stringValue] else {
            throw DatabaseError.mismatch("no column \(key.stringValue)")
        }
        return column
    }

    func contains(_ key: Key) -> Bool { decoder.result.columns[key.stringValue] != nil }

    func decodeNil(forKey key: Key) throws -> Bool {
        PQgetisnull(decoder.result.pointer, decoder.row, try column(key)) == 1
    }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try decoder.value(type, column: column(key), name: key.stringValue)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        throw DatabaseError.mismatch("column \(key.stringValue) has no members")
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw DatabaseError.mismatch("column \(key.stringValue) has no elements")
    }
    func superDecoder() throws -> any Decoder { decoder }
    func superDecoder(forKey key: Key) throws -> any Decoder { decoder }
}

private struct Cell: SingleValueDecodingContainer {
    let decoder: RowDecoder
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool {
        decoder.cell.map { PQgetisnull(decoder.result.pointer, decoder.row, $0.column) == 1 } ?? true
    }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        guard let cell = decoder.cell else { throw DatabaseError.mismatch("no column") }
        return try decoder.value(type, column: cell.column, name: cell.name)
    }
}
