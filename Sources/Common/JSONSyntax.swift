import Glibc

/// Whether bytes are JSON (RFC 8259), strictly: the decoder overlooks what is wrong with members that nobody asks for.
struct JSONSyntax {
    private var rest: ArraySlice<UInt8>
    private static let deepest = 200

    static func holds(for bytes: [UInt8]) -> Bool {
        var syntax = JSONSyntax(rest: bytes[...])
        guard syntax.value(depth: 0) else { return false }
        syntax.skipSpace()
        return syntax.rest.isEmpty
    }

    private mutating func value(depth: Int) -> Bool {
        skipSpace()
        switch rest.first {
        case UInt8(ascii: "{"): return list(end: "}", depth: depth) { $0.string() && $0.take(":") }
        case UInt8(ascii: "["): return list(end: "]", depth: depth) { _ in true }
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    /// Values with commas between them; `name` is what stands before each.
    private mutating func list(end: Unicode.Scalar, depth: Int, name: (inout JSONSyntax) -> Bool) -> Bool {
        rest.removeFirst()
        if depth == Self.deepest { return false }
        if take(end) { return true }
        repeat {
            guard name(&self), value(depth: depth + 1) else { return false }
        } while take(",")
        return take(end)
    }

    private mutating func string() -> Bool {
        guard rest.popFirst() == UInt8(ascii: "\"") else { return false }
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst() else { return false }
                if escaped == UInt8(ascii: "u") {
                    let digits = rest.prefix(4)
                    guard digits.count == 4, digits.allSatisfy({ isxdigit(Int32($0)) != 0 }) else { return false }
                    rest = rest.dropFirst(4)
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
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        let startsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, !startsWithZero || whole == 1 else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            guard digits() > 0 else { return false }
        }
        if rest.first.map("eE".utf8.contains) == true {
            rest.removeFirst()
            if rest.first.map("+-".utf8.contains) == true { rest.removeFirst() }
            guard digits() > 0 else { return false }
        }
        return true
    }

    private mutating func digits() -> Int {
        let count = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
        rest = rest.dropFirst(count)
        return count
    }

    private mutating func word(_ word: String) -> Bool {
        guard rest.starts(with: word.utf8) else { return false }
        rest = rest.dropFirst(word.utf8.count)
        return true
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        skipSpace()
        return true
    }

    private mutating func skipSpace() { rest = rest.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) } }
}
