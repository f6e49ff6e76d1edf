/// An error as the API tells it. Source: https://docs.stripe.com/api/errors
struct StripeFault: Error {
    let status: Int
    let type: String
    var code: String?
    let message: String
    var param: String?

    static func invalid(_ message: String, param: String? = nil, code: String? = nil) -> StripeFault {
        StripeFault(status: 400, type: "invalid_request_error", code: code, message: message, param: param)
    }

    /// What is named in the path is 404; what a parameter names, 400.
    static func missing(_ object: String, _ id: String, param: String = "id") -> StripeFault {
        StripeFault(
            status: param == "id" ? 404 : 400, type: "invalid_request_error", code: "resource_missing",
            message: "No such \(object): '\(id)'", param: param)
    }

    static let failed = StripeFault(
        status: 500, type: "api_error", message: "Sorry! There was an error while talking to one of our backends.")

    var json: Value {
        [
            "error": [
                "type": .string(type), "code": Value(code), "message": .string(message), "param": Value(param),
                "doc_url": Value(code.map { "https://docs.stripe.com/error-codes/\($0)" }),
            ]
        ]
    }
}
