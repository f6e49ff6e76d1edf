import FoundationEssentials

/// A value that its column holds as `json` or `jsonb`.
public protocol JSONColumn: Decodable {}

/// Decodes a row: members by the names of columns, or a single value out of the first column. A text may be had as its bytes, which are
/// not looked through.
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
        func cast(_ value: some Any) throws -> Value {
            guard let value = value as? Value else { throw DatabaseError.mismatch("column \(name) is no \(type)") }
            return value
        }
        switch type {
        case is String.Type: return try cast(string(column, name))
        case is Int.Type: return try cast(int(column, name))
        case is Bool.Type: return try cast(bool(column, name))
        case is Double.Type: return try cast(double(column, name))
        case is [UInt8].Type: return try cast(Array(bytes(column, name)))
        case is any JSONColumn.Type: return try JSONDecoder().decode(Value.self, from: Data(bytes(column, name)))
        default:
            _ = try bytes(column, name)
            var one = self
            one.cell = (column, name)
            return try Value(from: one)
        }
    }

    // MARK: The types that columns have

    fileprivate func bytes(_ column: Int32, _ name: String) throws -> UnsafeBufferPointer<UInt8> {
        guard let bytes = result.bytes(row: row, column: column) else {
            throw DatabaseError.mismatch("column \(name) is NULL")
        }
        return bytes
    }

    fileprivate func string(_ column: Int32, _ name: String) throws -> String {
        String(decoding: try bytes(column, name), as: UTF8.self)
    }

    fileprivate func int(_ column: Int32, _ name: String) throws -> Int {
        guard let int = Int(try string(column, name)) else { throw DatabaseError.mismatch("column \(name) is no Int") }
        return int
    }

    fileprivate func bool(_ column: Int32, _ name: String) throws -> Bool {
        try bytes(column, name).first == UInt8(ascii: "t")
    }

    fileprivate func double(_ column: Int32, _ name: String) throws -> Double {
        guard let double = Double(try string(column, name)) else {
            throw DatabaseError.mismatch("column \(name) is no Double")
        }
        return double
    }
}

/// Beside the requirements, the types that columns have are decoded without asking what type it is: 5 µs less for a small row.
private struct Columns<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: RowDecoder
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { decoder.result.columns.compactMap(Key.init(stringValue:)) }

    private func column(_ key: Key) throws -> Int32 {
        guard let column = decoder.result.column(key.stringValue) else {
            throw DatabaseError.mismatch("no column \(key.stringValue)")
        }
        return column
    }

    /// The number of a column that is there and not NULL.
    private func present(_ key: Key) -> Int32? {
        decoder.result.column(key.stringValue).flatMap { isNull($0) ? nil : $0 }
    }

    private func isNull(_ column: Int32) -> Bool { decoder.result.isNull(row: decoder.row, column: column) }

    func contains(_ key: Key) -> Bool { decoder.result.column(key.stringValue) != nil }
    func decodeNil(forKey key: Key) throws -> Bool { isNull(try column(key)) }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try decoder.value(type, column: column(key), name: key.stringValue)
    }
    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        try decoder.string(column(key), key.stringValue)
    }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try decoder.int(column(key), key.stringValue) }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try decoder.bool(column(key), key.stringValue) }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try present(key).map { try decoder.value(type, column: $0, name: key.stringValue) }
    }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try present(key).map { try decoder.string($0, key.stringValue) }
    }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
        try present(key).map { try decoder.int($0, key.stringValue) }
    }
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
        try present(key).map { try decoder.bool($0, key.stringValue) }
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
        decoder.cell.map { decoder.result.isNull(row: decoder.row, column: $0.column) } ?? true
    }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        guard let cell = decoder.cell else { throw DatabaseError.mismatch("no column") }
        return try decoder.value(type, column: cell.column, name: cell.name)
    }
}
