/// One request's answer: either whole with `answer`, or in pieces with `start`, `write` and `finish`.
///
/// The rest is for faults: `raw`, `pause`, `close` and `reset` may come at any point, and a handler that returns
/// with its answer unfinished ends the connection there.
public final class HTTPExchange {
    private enum State { case waiting, streaming, finished }

    private let socket: Socket
    private let isHead: Bool
    private let isHTTP10: Bool
    private let closes: Bool
    private var state = State.waiting

    init(socket: Socket, request: HTTPRequest) {
        self.socket = socket
        isHead = request.method == "HEAD"
        isHTTP10 = request.isHTTP10
        closes = request.wantsClose
    }

    var hasBegun: Bool { state != .waiting }
    var mayKeepAlive: Bool { state == .finished && !closes }

    /// Sends a whole answer.
    public func answer(status: Int, type: String, headers: [(String, String)] = [], body: [UInt8]) throws {
        let length = ("Content-Length", String(body.count))
        try socket.send(head(status, type, headers + [length]) + (isHead ? [] : body))
        state = .finished
    }

    /// Sends the head of an answer whose body follows in pieces.
    public func start(status: Int, type: String, headers: [(String, String)] = []) throws {
        try socket.send(head(status, type, isHTTP10 ? headers : headers + [("Transfer-Encoding", "chunked")]))
        state = .streaming
    }

    /// Sends one piece of the body, at once.
    public func write(_ bytes: [UInt8]) throws {
        if bytes.isEmpty || isHead { return }  // an empty chunk would end the body
        if isHTTP10 { return try socket.send(bytes) }
        let size = String(bytes.count, radix: 16)
        try socket.send(Array("\(size)\r\n".utf8) + bytes + [0x0d, 0x0a])
    }

    /// Ends the body. Without this the client sees a body that was cut off.
    public func finish() throws {
        if !isHTTP10 && !isHead { try raw(Array("0\r\n\r\n".utf8)) }
        state = .finished
    }

    /// Sends bytes as they are, without any framing.
    public func raw(_ bytes: [UInt8]) throws {
        try socket.send(bytes)
    }

    /// Waits; throws as soon as the client hangs up, so that an abandoned answer does not hold its thread.
    public func pause(milliseconds: Int) throws {
        try socket.pause(milliseconds: milliseconds)
    }

    /// Closes the connection, whatever was sent so far.
    public func close() {
        socket.close()
    }

    /// Resets the connection (RST).
    public func reset() {
        socket.reset()
    }

    private func head(_ status: Int, _ type: String, _ headers: [(String, String)]) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(Self.phrases[status, default: "Unknown"])\r\nContent-Type: \(type)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if closes { head += "Connection: close\r\n" }
        return Array("\(head)\r\n".utf8)
    }

    static let phrases = [
        200: "OK", 201: "Created", 204: "No Content", 303: "See Other", 400: "Bad Request", 401: "Unauthorized",
        402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
        413: "Content Too Large",
        414: "URI Too Long", 417: "Expectation Failed", 429: "Too Many Requests",
        431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
        502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]
}
