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
