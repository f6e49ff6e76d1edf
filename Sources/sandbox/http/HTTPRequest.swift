/// A request, read whole.
public struct HTTPRequest: Sendable {
    /// As it came: methods are case-sensitive.
    public let method: String
    /// What stood in the request line, undecoded.
    public let target: String
    /// Percent-decoded, without the query.
    public let path: String
    /// Percent-decoded; of a name that comes twice, the last.
    public let query: [String: String]
    /// Names in lower case; the values of a name that comes twice are joined by a comma.
    public let headers: [String: String]
    /// Empty where there was none.
    public let body: [UInt8]
    let isHTTP10: Bool

    /// The body as application/x-www-form-urlencoded; nil where it is not.
    public var form: [String: String]? {
        let text = String(decoding: body.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
        return HTTPRequest.decode(target: "?\(text)")?.query
    }

    var wantsClose: Bool {
        let options = headers["connection", default: ""].lowercased().split(separator: ",")
        return isHTTP10 || options.contains { $0.trimmingSpaces() == "close" }
    }
}

extension HTTPRequest {
    /// Nil: a percent sign without two hex digits behind it.
    static func decode(target: String) -> (path: String, query: [String: String])? {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = percentDecoded(halves[0]) else { return nil }
        var query: [String: String] = [:]
        for pair in halves.dropFirst().joined().split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = percentDecoded(sides[0]), let value = percentDecoded(sides.count > 1 ? sides[1] : "")
            else { return nil }
            query[name] = value
        }
        return (path, query)
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        var decoded: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            if byte != UInt8(ascii: "%") {
                decoded.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(String(digits) ?? "", radix: 16)
            else { return nil }
            decoded.append(value)
            rest.removeFirst(2)
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}

extension UInt8 {
    var isDigit: Bool { (0x30...0x39).contains(self) }
    var isHexDigit: Bool { isDigit || (0x41...0x46).contains(self) || (0x61...0x66).contains(self) }
}

extension StringProtocol {
    func trimmingSpaces() -> String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(self[first...last])
    }
}
