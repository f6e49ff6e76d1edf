import Common

extension JSON {
    /// A value out of JSON that may be damaged: a byte that is no UTF-8, and an escape that is half of a surrogate pair, count
    /// as U+FFFD. (A model's text is cut anywhere, in the middle of an emoji too.)
    static func decodeMended<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
        do { return try decode(type, bytes) } catch { return try decode(type, mended(bytes)) }
    }

    private static func mended(_ bytes: [UInt8]) -> [UInt8] {
        var rest = Array(String(decoding: bytes, as: UTF8.self).utf8)[...]
        var mended: [UInt8] = []
        mended.reserveCapacity(rest.count)
        while let backslash = rest.firstIndex(of: UInt8(ascii: "\\")) {
            mended += rest[..<backslash]
            rest = rest[backslash...]
            guard let first = surrogate(rest) else {
                // What follows a backslash is no beginning of another escape.
                mended += rest.prefix(2)
                rest = rest.dropFirst(2)
                continue
            }
            if first < 0xDC00, let second = surrogate(rest.dropFirst(6)), second >= 0xDC00 {
                mended += rest.prefix(12)
                rest = rest.dropFirst(12)
            } else {
                mended += "\u{FFFD}".utf8
                rest = rest.dropFirst(6)
            }
        }
        return mended + rest
    }

    /// The surrogate (U+D800 to U+DFFF) whose escape these bytes begin with.
    private static func surrogate(_ bytes: ArraySlice<UInt8>) -> UInt16? {
        guard bytes.starts(with: "\\u".utf8) else { return nil }
        let digits = bytes.dropFirst(2).prefix(4)
        guard digits.count == 4, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16),
            (0xD800...0xDFFF).contains(unit)
        else { return nil }
        return unit
    }
}
