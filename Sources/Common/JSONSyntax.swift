import Glibc

/// Whether bytes are JSON (RFC 8259), strictly: the decoder overlooks what is wrong with members that nobody asks for.
struct JSONSyntax {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var index = 0
    private var count = 0
    private var hidden: [Range<Int>] = []

    private static let deepest = 200
    /// How many values a body may have: what the decoder does with each takes longer than reading it here.
    private static let mostValues = 10_000
    /// Bytes of the longest name and of the longest string that any member of ours may have: a message's 32,000 characters, each
    /// written as two escapes.
    private static let (longestName, longestString) = (64, 400_000)

    /// What the decoder may see of JSON: the same, but names that are long or not ASCII, and strings that are too long, are
    /// overwritten with question marks: they stay unknown, or too long. The decoder hashes names, and Swift hashes strings in a
    /// normal form, whose time grows with the square of the combining marks in a row; it decodes escapes one by one.
    /// Nil for what is no JSON, nested more than 200 deep, or of more than 10,000 values.
    static func decodable(_ body: [UInt8]) -> [UInt8]? {
        let hidden: [Range<Int>]? = body.withUnsafeBufferPointer { bytes in
            var syntax = JSONSyntax(bytes: bytes)
            guard syntax.value(depth: 0) else { return nil }
            syntax.skipSpace()
            return syntax.next == nil ? syntax.hidden : nil
        }
        guard let hidden else { return nil }
        var body = body
        for text in hidden { body.replaceSubrange(text, with: repeatElement(UInt8(ascii: "?"), count: text.count)) }
        return body
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The byte to be read next; nil at the end.
    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func value(depth: Int) -> Bool {
        count += 1
        guard count <= JSONSyntax.mostValues else { return false }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return list(end: "}", depth: depth) { $0.name() && $0.take(":") }
        case UInt8(ascii: "["): return list(end: "]", depth: depth) { _ in true }
        case UInt8(ascii: "\""):
            let start = index + 1
            guard string() else { return false }
            if index - start > JSONSyntax.longestString { hidden.append(start..<index - 1) }
            return true
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    /// Values with commas between them; `name` is what stands before each.
    private mutating func list(end: Unicode.Scalar, depth: Int, name: (inout JSONSyntax) -> Bool) -> Bool {
        index += 1
        if depth == JSONSyntax.deepest { return false }
        if take(end) { return true }
        repeat {
            guard name(&self), value(depth: depth + 1) else { return false }
        } while take(",")
        return take(end)
    }

    private mutating func name() -> Bool {
        let start = index + 1
        guard string() else { return false }
        let name = start..<index - 1
        if name.count > JSONSyntax.longestName || bytes[name].contains(where: { $0 >= 0x80 }) { hidden.append(name) }
        return true
    }

    private mutating func string() -> Bool {
        guard next == UInt8(ascii: "\"") else { return false }
        index += 1
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\"):
                guard let escaped = next else { return false }
                index += 1
                if escaped == UInt8(ascii: "u") {
                    let digits = bytes[index..<min(index + 4, bytes.count)]
                    guard digits.count == 4, digits.allSatisfy({ isxdigit(Int32($0)) != 0 }) else { return false }
                    index += 4
                } else if !"\"\\/bfnrt".utf8.contains(escaped) {
                    return false
                }
            case 0..<0x20: return false
            default: continue
            }
        }
        return false
    }

    private mutating func number() -> Bool {
        if next == UInt8(ascii: "-") { index += 1 }
        let startsWithZero = next == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, !startsWithZero || whole == 1 else { return false }
        if next == UInt8(ascii: ".") {
            index += 1
            guard digits() > 0 else { return false }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            index += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { index += 1 }
            guard digits() > 0 else { return false }
        }
        return true
    }

    private mutating func digits() -> Int {
        let start = index
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
        return index - start
    }

    private mutating func word(_ word: String) -> Bool {
        guard bytes[index...].starts(with: word.utf8) else { return false }
        index += word.utf8.count
        return true
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        index += 1
        skipSpace()
        return true
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { index += 1 }
    }
}
