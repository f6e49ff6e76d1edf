/// An error that the caller may know: an answer of RFC 9457. All other errors are logged and answered with 500.
public struct Problem: Error, Sendable {
    /// A member of the body that was at fault.
    public struct Field: Error, Encodable, Sendable {
        /// Its path, `title` or `parts.0`.
        public let field: String
        /// What is wrong, as the predicate of a sentence: "must have 1 to 80 characters".
        public let detail: String

        /// For the member that is being decoded.
        public init(_ detail: String, at path: [any CodingKey]) {
            field = path.map(\.stringValue).joined(separator: ".")
            self.detail = detail
        }

        init(_ field: String, _ detail: String) {
            self.field = field
            self.detail = detail
        }
    }

    /// The HTTP status.
    public let status: Int
    /// A stable word for programs.
    public let code: String
    /// A sentence for people.
    public let detail: String
    /// Headers that belong to the answer, such as `Retry-After` (seconds).
    public var headers: [(String, String)] = []
    /// The faults of the body.
    public var fields: [Field] = []
    /// Members beyond those of RFC 9457.
    public var extra: [String: Int] = [:]

    public init(
        _ status: Int, _ code: String, _ detail: String, headers: [(String, String)] = [], fields: [Field] = [],
        extra: [String: Int] = [:]
    ) {
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.fields = fields
        self.extra = extra
    }

    /// What a caller is told of an error; what they may not know is logged.
    public init(telling error: any Error, requestID: String) {
        switch error {
        case let problem as Problem: self = problem
        case let refusal as Refusal:
            do {
                self = try Problem.of(refusal)
            } catch {
                self.init(telling: error, requestID: requestID)
            }
        // The account was deleted while this was under way.
        case let error as DatabaseError where error.constraint?.hasSuffix("_user_id_fkey") ?? false:
            self = .sessionEnded
        case let error as DatabaseError where error.isTemporary:
            Log.error("database unavailable", ["request_id": requestID, "reason": "\(error)"])
            self = .unavailable
        default:
            Log.error("request failed", ["request_id": requestID, "reason": "\(error)"])
            self = .internalError
        }
    }

    public static let notFound = Problem(404, "not_found", "There is nothing here that is yours.")
    public static let internalError = Problem(500, "internal", "Something went wrong here. It has been logged.")
    public static let bodyTooLarge = Problem(413, "body_too_large", "The body is larger than 1 MB.")
    public static let unavailable = Problem(
        503, "unavailable", "The service is not available for a moment.", headers: [("Retry-After", "1")])

    /// A body that is no JSON object of the expected shape.
    static func malformed(_ detail: String) -> Problem { Problem(400, "malformed_json", detail) }

    /// A body with a member of the wrong type or out of range.
    static func invalid(_ field: Field) -> Problem {
        Problem(422, "invalid", "\(field.field) \(field.detail).", fields: [field])
    }

    /// The same, where what is wrong shows only beside what is in the database.
    public static func invalid(_ field: String, _ detail: String) -> Problem { invalid(Field(field, detail)) }

    /// A token that is missing, wrong, over, or whose session has ended; a wrong password.
    public static func unauthorized(_ code: String, _ detail: String) -> Problem {
        Problem(401, code, detail, headers: [("WWW-Authenticate", "Bearer")])
    }

    /// The whole answer.
    public func response(requestID: String) -> Response {
        struct Body: Encodable {
            let type = "about:blank"
            let title: String
            let status: Int
            let detail: String
            let code: String
            let requestID: String
            let errors: [Field]?
            let extra: [String: Int]

            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Name.self)
                for (name, value) in extra { try container.encode(value, forKey: Name(name)) }
                try container.encode(type, forKey: Name("type"))
                try container.encode(title, forKey: Name("title"))
                try container.encode(status, forKey: Name("status"))
                try container.encode(detail, forKey: Name("detail"))
                try container.encode(code, forKey: Name("code"))
                try container.encode(requestID, forKey: Name("request_id"))
                if let errors { try container.encode(errors, forKey: Name("errors")) }
            }
        }
        let body = Body(
            title: Response.reason(status), status: status, detail: detail, code: code, requestID: requestID,
            errors: fields.isEmpty ? nil : fields, extra: extra)
        var response = Response(status: status, body: (try? JSON.encode(body)) ?? [])
        response.headers = [("Content-Type", "application/problem+json")] + headers
        // nginx asks whether somebody is signed in (auth_request), and gets no body.
        if status == 401 { response.headers.append(("X-Problem", String(decoding: response.body, as: UTF8.self))) }
        return response
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
}
