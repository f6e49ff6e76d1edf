/// An answer: status, headers and body; or the wish to answer later.
public struct Response: Sendable {
    public var status: Int
    public var headers: [(String, String)]
    public var body: [UInt8]
    /// Set by `wait`: the answer is made anew when something happens to this.
    var waitsFor: (id: ID, seconds: Int)?

    /// An answer with a body that is ready to be sent.
    public init(status: Int, headers: [(String, String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A value as JSON.
    public static func json(_ value: some Encodable, status: Int = 200, headers: [(String, String)] = []) throws
        -> Response
    {
        json(text: try JSON.encode(value), status: status, headers: headers)
    }

    /// JSON that is text already.
    public static func json(text: [UInt8], status: Int = 200, headers: [(String, String)] = []) -> Response {
        Response(status: status, headers: [("Content-Type", "application/json")] + headers, body: text)
    }

    /// No answer yet: the request is held, no process is blocked, and the handler is called again when `id` is notified,
    /// at the latest after `seconds`, then with `Request.hasWaited`.
    public static func wait(for id: ID, seconds: Int) -> Response {
        var response = Response(status: 0)
        response.waitsFor = (id, seconds)
        return response
    }

    /// As CGI writes it (RFC 3875, 6): header lines, an empty line, the body.
    func cgi(requestID: String) -> [UInt8] {
        var head = "Status: \(status) \(Response.reason(status))\r\nX-Request-Id: \(requestID)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if status != 204, status != 304 { head += "Content-Length: \(body.count)\r\n" }
        head += "\r\n"
        return Array(head.utf8) + body
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
