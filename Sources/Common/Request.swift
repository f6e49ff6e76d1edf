/// A request, as nginx or a web server's CGI hands it over: its meta-variables (RFC 3875, 4) and its body.
///
/// What comes from outside is compared, split and hashed as bytes, and its length is checked first. Swift compares and hashes
/// strings in a normal form, whose time grows with the square of the combining marks in a row: 990 KB of them take minutes.
public struct Request {
    /// The largest body that is read, in bytes.
    static let bodyLimit = 1 << 20

    /// Names the request in answers and logs.
    public let id: String
    /// Whether a wait that the handler asked for is over, or cannot be had.
    public internal(set) var hasWaited = false
    private let parameter: (String) -> String?
    /// The body, as it came.
    public let body: [UInt8]
    /// The next bytes of the body, so many unless it ends before: where the handler reads it piece by piece (`serve`).
    public let read: (_ count: Int) -> [UInt8]

    init(parameter: @escaping (String) -> String?, body: [UInt8], read: @escaping (Int) -> [UInt8] = { _ in [] }) {
        self.parameter = parameter
        self.body = body
        self.read = read
        id = parameter("REQUEST_ID").flatMap { $0.isEmpty ? nil : $0 } ?? Sodium.random(16).hex
    }

    /// A header's value, by its name in capitals with underscores: `IF_NONE_MATCH`.
    public func header(_ name: String) -> String? { parameter("HTTP_" + name) }

    /// The caller's IP address, behind the proxies that are trusted; nil where the web server does not say (a Unix socket).
    public var address: String? {
        guard let text = parameter("REMOTE_ADDR"), let peer = IPAddress(text) else { return nil }
        let client = Settings.trustedProxies.client(of: peer, forwardedFor: header("X_FORWARDED_FOR"))
        return client == peer ? text : client.text
    }

    /// An id out of the path; 404 where it is no UUID, for then nothing can be there.
    public func pathID(_ name: String) throws -> ID {
        guard let id = parameter(name).flatMap({ ID($0) }) else { throw Problem.notFound }
        return id
    }

    /// A part of the path that is no id, of the form that the router takes.
    public func path(_ name: String) -> String { parameter(name) ?? "" }

    /// A value of the query string, decoded.
    public func query(_ name: String) -> String? {
        guard let text = parameter("QUERY_STRING") else { return nil }
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let end = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            if pair[..<end].elementsEqual(name.utf8) { return percentDecoded(pair[end...].dropFirst()) }
        }
        return nil
    }

    /// A hash of what is sent besides the path: the query string, the body and its type.
    var contentHash: String {
        let parts = [parameter("QUERY_STRING") ?? "", parameter("CONTENT_TYPE") ?? ""]
        return Sodium.sha256(parts.flatMap { Array($0.utf8) + [0] } + body).hex
    }

    /// The type of the body, in lower case and without its parameters; empty where there is none, `malformed` where it is not ASCII.
    public var mediaType: String {
        let text = parameter("CONTENT_TYPE") ?? ""
        // As nearly all send it: the rest takes a tenth of a small request's time.
        if text.utf8.count == 16, text == "application/json" { return text }
        let type = text.utf8.prefix { $0 != UInt8(ascii: ";") }.filter { $0 != UInt8(ascii: " ") }
        guard type.allSatisfy({ $0 < 0x80 }) else { return "malformed" }
        return String(decoding: type, as: UTF8.self).lowercased()
    }

    /// How many bytes the body is said to have; nil where that is not said.
    public var contentLength: Int? { parameter("CONTENT_LENGTH").flatMap { Int($0) } }

    /// Whether `If-None-Match` names this ETag, weakly compared (RFC 9110, 13.1.2): nginx weakens it when it compresses.
    public func matches(etag: String) -> Bool {
        (header("IF_NONE_MATCH") ?? "").utf8.split(separator: UInt8(ascii: ",")).contains { entry in
            let tag = entry.filter { $0 != UInt8(ascii: " ") }
            return tag.elementsEqual("*".utf8)
                || tag.dropFirst(tag.starts(with: "W/".utf8) ? 2 : 0).elementsEqual(etag.utf8)
        }
    }

    /// The seconds of `Prefer: wait=N` (RFC 7240, 4.3), 30 at most; nil where the caller does not want to wait.
    public var preferredWait: Int? {
        for preference in (header("PREFER") ?? "").utf8.split(whereSeparator: { ",;".utf8.contains($0) }) {
            let parts = preference.split(separator: UInt8(ascii: "=")).map { part in
                part.filter { !" \"".utf8.contains($0) }
            }
            guard parts.count == 2, parts[0].map({ $0 | 0x20 }).elementsEqual("wait".utf8) else { continue }
            return Int(String(decoding: parts[1], as: UTF8.self)).map { min(max($0, 0), 30) }
        }
        return nil
    }

    /// The body as JSON. Members that are unknown are ignored; the first wrong one is refused by name.
    public func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        guard mediaType == "application/json" else {
            throw Problem(415, "unsupported_media_type", "The body must be application/json.")
        }
        guard !body.contains(0), String(validating: body, as: UTF8.self) != nil else {
            throw Problem.malformed("The body is not UTF-8, or holds NUL.")
        }
        guard body.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) == UInt8(ascii: "{") else {
            throw Problem.malformed("The body must be a JSON object.")
        }
        guard let body = JSONSyntax.decodable(body) else {
            throw Problem.malformed("The body is not JSON, or has more than 10,000 values.")
        }
        do {
            return try JSON.decode(type, body)
        } catch let field as Problem.Field {
            throw Problem.invalid(field)
        } catch DecodingError.keyNotFound(let key, let context) {
            throw Problem.invalid(.init("is missing", at: context.codingPath + [key]))
        } catch DecodingError.valueNotFound(_, let context) {
            throw Problem.invalid(.init("must not be null", at: context.codingPath))
        } catch DecodingError.typeMismatch(let type, let context) {
            throw Problem.invalid(.init("must be a \(Self.word(type))", at: context.codingPath))
        } catch DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty {
            throw Problem.invalid(.init("is not valid", at: context.codingPath))
        } catch is DecodingError {
            throw Problem.malformed("The body is not JSON.")
        }
    }

    private static func word(_ type: Any.Type) -> String {
        switch type {
        case is String.Type: "string"
        case is Bool.Type: "boolean"
        case is Int.Type, is Double.Type: "number"
        default: "value of another type"
        }
    }

    /// What is malformed stays as it is, for whoever reads the value to refuse.
    private func percentDecoded(_ text: Substring.UTF8View) -> String {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(0x20)
            case UInt8(ascii: "%"):
                if let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                    bytes.append(value)
                    rest = rest.dropFirst(2)
                } else {
                    bytes.append(byte)
                }
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
