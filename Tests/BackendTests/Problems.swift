import TestSupport
import Testing

/// Checks that an answer is an error as the contract has them (RFC 9457), with no detail of the inside.
func expectProblem(
    _ answer: Answer, _ status: Int, _ code: String? = nil, _ what: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let comment = Comment(rawValue: "\(what) \(answer.status) \(answer.text.prefix(500))")
    let problem = answer.json
    #expect(answer.status == status, comment, sourceLocation: sourceLocation)
    #expect(answer.header("Content-Type") == "application/problem+json", comment, sourceLocation: sourceLocation)
    for name in ["type", "title", "detail", "code"] {
        #expect(problem[name].text?.isEmpty == false, comment, sourceLocation: sourceLocation)
    }
    #expect(problem["status"].number == Double(status), comment, sourceLocation: sourceLocation)
    #expect(
        problem["request_id"].text != nil && problem["request_id"].text == answer.header("X-Request-Id"), comment,
        sourceLocation: sourceLocation)
    if let code { #expect(problem["code"].text == code, comment, sourceLocation: sourceLocation) }
    if status == 422 {
        #expect(!problem["errors"].list.isEmpty, comment, sourceLocation: sourceLocation)
        for error in problem["errors"].list {
            #expect(error["field"].text?.isEmpty == false, comment, sourceLocation: sourceLocation)
            #expect(error["detail"].text?.isEmpty == false, comment, sourceLocation: sourceLocation)
        }
    }
    if status == 401 {
        #expect(
            answer.header("WWW-Authenticate") != nil || ["otp_invalid", "otp_superseded"].contains(code), comment,
            sourceLocation: sourceLocation)
    }
    if status == 429 || status == 503 {
        #expect(
            answer.header("Retry-After").flatMap { Int($0) } ?? 0 > 0, comment, sourceLocation: sourceLocation)
    }
    let inside = ["select ", "insert ", "postgres", "libpq", "SQLSTATE", "constraint", ".swift", "Error(", "Optional("]
    for word in inside {
        #expect(!answer.text.lowercased().contains(word.lowercased()), comment, sourceLocation: sourceLocation)
    }
}
