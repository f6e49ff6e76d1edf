import Glibc

/// A request, as nginx or a web server's CGI hands it over: its meta-variables (RFC 3875, 4) and its body.
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

    /// The caller's IP address; nil where the web server does not say (a Unix socket).
    public var address: String? {
        guard let text = parameter("REMOTE_ADDR") else { return nil }
        var address = in6_addr()
        return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1 ? text : nil
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
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts[0] == name { return percentDecoded(parts.count > 1 ? parts[1] : "") }
        }
        return nil
    }

    /// A hash of what is sent besides the path: the query string, the body and its type.
    var contentHash: String {
        let parts = [parameter("QUERY_STRING") ?? "", parameter("CONTENT_TYPE") ?? ""]
        return Sodium.sha256(parts.flatMap { Array($0.utf8) + [0] } + body).hex
    }

    /// The type of the body, in lower case and without its parameters; empty where there is none.
    public var mediaType: String {
        let text = parameter("CONTENT_TYPE") ?? ""
        // As nearly all send it: to go over its characters takes a tenth of a small request's time.
        if text == "application/json" { return text }
        return text.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
    }

    /// How many bytes the body is said to have; nil where that is not said.
    public var contentLength: Int? { parameter("CONTENT_LENGTH").flatMap { Int($0) } }

    /// Whether `If-None-Match` names this ETag, weakly compared (RFC 9110, 13.1.2): nginx weakens it when it compresses.
    public func matches(etag: String) -> Bool {
        (header("IF_NONE_MATCH") ?? "").split(separator: ",").contains { entry in
            let tag = entry.drop { $0 == " " }
            return (tag.hasPrefix("W/") ? tag.dropFirst(2) : tag).filter { $0 != " " } == etag || tag == "*"
        }
    }

    /// The seconds of `Prefer: wait=N` (RFC 7240, 4.3), 30 at most; nil where the caller does not want to wait.
    public var preferredWait: Int? {
        for preference in (header("PREFER") ?? "").split(whereSeparator: { ",;".contains($0) }) {
            let parts = preference.split(separator: "=")
            guard parts.count == 2, parts[0].filter({ $0 != " " }).lowercased() == "wait" else { continue }
            return Int(parts[1].filter { $0 != " " && $0 != "\"" }).map { min(max($0, 0), 30) }
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
        guard JSONSyntax.holds(for: body) else { throw Problem.malformed("The body is not JSON.") }
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
    private func percentDecoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
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
