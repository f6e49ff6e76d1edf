import FoundationEssentials

/// The one way in which this program writes and reads JSON.
public enum JSON {
    /// The value with its keys sorted, so that equal values are equal bytes, and times as RFC 3339.
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// A value out of JSON in UTF-8.
    public static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}

// Synthesised `encode(to:)` leaves out what is nil; clients are better off with a null in its place, so these stand in for
// the standard library's.
extension KeyedEncodingContainer {
    /// Writes null for nil.
    public mutating func encodeIfPresent(_ value: String?, forKey key: Key) throws { try encode(value, forKey: key) }
    /// Writes null for nil.
    public mutating func encodeIfPresent<Value: Encodable>(_ value: Value?, forKey key: Key) throws {
        try encode(value, forKey: key)
    }
}
