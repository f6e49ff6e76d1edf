/// An answer: status, headers and body; or the wish to answer later.
public struct Response {
    /// Writes a body bit by bit, to a reader for whom it waits. What it throws cuts the answer short.
    public typealias Body = (_ write: ([UInt8]) throws -> Void) throws -> Void

    public var status: Int
    public var headers: [(String, String)]
    public var body: [UInt8]
    /// Set by `wait`: the answer is made anew when something happens to this.
    typealias Wait = (id: ID, owner: ID, seconds: Int)
    var waitsFor: Wait?
    /// Set by `stream`: nobody knows yet how long the body is.
    private var isStream = false
    /// What writes the body of such an answer, where the loop is to see to that.
    private(set) var writeBody: Body?

    /// An answer with a body that is ready to be sent.
    public init(status: Int, headers: [(String, String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// JSON that is text already, as Postgres writes it.
    public static func json(_ text: String, status: Int = 200, headers: [(String, String)] = []) -> Response {
        json(Array(text.utf8), status: status, headers: headers)
    }

    /// The same, as its bytes.
    public static func json(_ bytes: [UInt8], status: Int = 200, headers: [(String, String)] = []) -> Response {
        Response(status: status, headers: [("Content-Type", "application/json")] + headers, body: bytes)
    }

    /// No answer yet: the request is held, no process is blocked, and the handler is called again when `id` is notified,
    /// at the latest after `seconds`, then with `Request.hasWaited`, which it must heed. Of each `owner` a limited number is held.
    public static func wait(for id: ID, owner: ID, seconds: Int) -> Response {
        var response = Response(status: 0)
        response.waitsFor = (id, owner, seconds)
        return response
    }

    /// The head of an answer whose body comes bit by bit; with `body`, that too.
    public static func stream(headers: [(String, String)], body: Body? = nil) -> Response {
        var response = Response(status: 200, headers: headers)
        response.isStream = true
        response.writeBody = body
        return response
    }

    /// As CGI writes it (RFC 3875, 6): header lines, an empty line, the body.
    public func cgi(requestID: String) -> [UInt8] { head(requestID: requestID) + body }

    /// The header lines and the empty line.
    func head(requestID: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        func line(_ name: String, _ value: String) {
            bytes += name.utf8
            bytes += ": ".utf8
            bytes += value.utf8
            bytes += "\r\n".utf8
        }
        line("Status", "\(status) \(Response.reason(status))")
        line("X-Request-Id", requestID)
        for (name, value) in headers { line(name, value) }
        if status != 204, status != 304, !isStream { line("Content-Length", String(body.count)) }
        bytes += "\r\n".utf8
        return bytes
    }

    /// The status's reason phrase (RFC 9110, 15).
    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 402: "Payment Required"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 503: "Service Unavailable"
        default: "Unknown"
        }
    }
}
