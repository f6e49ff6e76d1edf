/// Reads the requests of one connection, one after the other. What breaks HTTP is refused, not guessed at.
struct RequestReader {
    /// A request that is answered with this status, after which the connection ends.
    struct Refusal: Error {
        let status: Int
        let reason: String
    }

    static let lineLimit = 16 * 1024
    static let headerLimit = 100
    static let bodyLimit = 32 << 20

    let socket: Socket

    func next() throws -> HTTPRequest {
        let (method, target, version) = try requestLine()
        guard let (path, query) = HTTPRequest.decode(target: target) else {
            throw Refusal(status: 400, reason: "The request target is not percent-encoded correctly.")
        }
        let headers = try self.headers()
        if version == "HTTP/1.1", headers["host"] == nil {
            throw Refusal(status: 400, reason: "The Host header is missing.")
        }
        return HTTPRequest(
            method: method, target: target, path: path, query: query, headers: headers, body: try body(headers),
            isHTTP10: version == "HTTP/1.0")
    }

    private func requestLine() throws -> (method: String, target: String, version: String) {
        var line: [UInt8] = []
        for _ in 0..<2 where line.isEmpty {  // one empty line before a request is allowed
            guard let next = try socket.line(limit: Self.lineLimit) else {
                throw Refusal(status: 414, reason: "The request line is too long.")
            }
            line = next
        }
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, isToken(words[0]), words[1].allSatisfy({ (0x21...0x7e).contains($0) }),
            words[2].starts(with: "HTTP/".utf8)
        else {
            throw Refusal(status: 400, reason: "The request line is malformed.")
        }
        let version = String(decoding: words[2], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else {
            throw Refusal(status: 505, reason: "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        }
        return (String(decoding: words[0], as: UTF8.self), String(decoding: words[1], as: UTF8.self), version)
    }

    private func headers() throws -> [String: String] {
        var headers: [String: String] = [:]
        for _ in 0...Self.headerLimit {
            guard let line = try socket.line(limit: Self.lineLimit) else { break }
            if line.isEmpty { return headers }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), isToken(line[..<colon]),
                line[(colon + 1)...].allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 })
            else {
                throw Refusal(status: 400, reason: "A header line is malformed.")
            }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let value = String(decoding: line[(colon + 1)...], as: UTF8.self).trimmingSpaces()
            headers[name] = headers[name].map { "\($0), \(value)" } ?? value
        }
        throw Refusal(status: 431, reason: "The headers are too large.")
    }

    private func body(_ headers: [String: String]) throws -> [UInt8] {
        switch (headers["transfer-encoding"]?.lowercased(), headers["content-length"]) {
        case (nil, nil):
            return []
        case (nil, let length?):
            guard length.utf8.allSatisfy(\.isDigit), !length.isEmpty else {
                throw Refusal(status: 400, reason: "Content-Length is not one number.")
            }
            let count = Int(length) ?? .max
            try checkSize(count)
            try inviteBody(headers)
            return try socket.bytes(count)
        case ("chunked", nil):
            try inviteBody(headers)
            return try chunks()
        case ("chunked", _?):
            throw Refusal(status: 400, reason: "Both Transfer-Encoding and Content-Length.")
        default:
            throw Refusal(status: 501, reason: "Of the transfer encodings only chunked is known.")
        }
    }

    private func inviteBody(_ headers: [String: String]) throws {
        switch headers["expect"]?.lowercased() {
        case nil: return
        case "100-continue": try socket.send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        default: throw Refusal(status: 417, reason: "Of the expectations only 100-continue is known.")
        }
    }

    private func chunks() throws -> [UInt8] {
        let malformed = Refusal(status: 400, reason: "The chunked body is malformed.")
        var body: [UInt8] = []
        while true {
            guard let line = try socket.line(limit: Self.lineLimit) else { throw malformed }
            let digits = line.prefix(while: \.isHexDigit)
            let rest = line[digits.endIndex...]
            guard !digits.isEmpty, rest.isEmpty || rest.first == UInt8(ascii: ";") else { throw malformed }
            let size = Int(String(decoding: digits, as: UTF8.self), radix: 16) ?? .max
            if size == 0 { break }
            try checkSize(size.addingReportingOverflow(body.count).partialValue)
            body += try socket.bytes(size)
            guard try socket.bytes(2) == [0x0d, 0x0a] else { throw malformed }
        }
        _ = try headers()  // trailers say nothing that a stand-in needs
        return body
    }

    private func checkSize(_ size: Int) throws {
        if !(0...Self.bodyLimit).contains(size) {
            throw Refusal(status: 413, reason: "The body is larger than \(Self.bodyLimit) bytes.")
        }
    }

    private func isToken(_ bytes: ArraySlice<UInt8>) -> Bool {
        !bytes.isEmpty
            && bytes.allSatisfy { byte in
                byte.isDigit || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }
}
