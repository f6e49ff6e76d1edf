/// A UUID (RFC 9562) in its canonical form: 36 characters, lower case.
public struct ID: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The 36 characters.
    public let text: String
    public var description: String { text }

    /// Takes hexadecimal digits of either case in groups of 8-4-4-4-12; anything else is nil.
    public init?(_ text: some StringProtocol) {
        var text = String(text)
        let isCanonical: Bool? = text.withUTF8 { bytes in
            guard bytes.count == 36 else { return nil }
            var isCanonical = true
            for (index, byte) in bytes.enumerated() {
                let isDash = index == 8 || index == 13 || index == 18 || index == 23
                switch byte {
                case UInt8(ascii: "-") where isDash: break
                case UInt8(ascii: "0")...UInt8(ascii: "9") where !isDash: break
                case UInt8(ascii: "a")...UInt8(ascii: "f") where !isDash: break
                case UInt8(ascii: "A")...UInt8(ascii: "F") where !isDash: isCanonical = false
                default: return nil
                }
            }
            return isCanonical
        }
        guard let isCanonical else { return nil }
        self.text = isCanonical ? text : text.lowercased()
    }

    /// The one that sorts before all others.
    public static let lowest = ID(bytes: [UInt8](repeating: 0, count: 16))

    /// Of its 16 bytes.
    init(bytes: [UInt8]) {
        let hex = Array(bytes.hex.utf8)
        let groups = [hex[0..<8], hex[8..<12], hex[12..<16], hex[16..<20], hex[20..<32]]
        text = String(decoding: Array(groups.joined(separator: [UInt8(ascii: "-")])), as: UTF8.self)
    }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let id = ID(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a UUID"))
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
