import SandboxHTTP

/// What a path asks for: `[/PREFIX]/v1|v1beta/models[/MODEL[:METHOD]]`.
struct Route {
    enum Method: String { case generateContent, streamGenerateContent, countTokens }

    enum Action {
        case listModels
        case getModel(String)
        case call(Method, model: String)
    }

    let version: String
    let action: Action

    /// Nil where Google has nothing under that method and path.
    init?(_ request: HTTPRequest) {
        let parts = request.path.split(separator: "/").map(String.init)
        guard let models = parts.lastIndex(of: "models"), models > 0, ["v1", "v1beta"].contains(parts[models - 1])
        else { return nil }
        version = parts[models - 1]
        switch (request.method, parts.count - models) {
        case ("GET", 1):
            action = .listModels
        case ("GET", 2):
            action = .getModel(parts[models + 1])
        case ("POST", 2):
            let sides = parts[models + 1].split(separator: ":", maxSplits: 1).map(String.init)
            guard sides.count == 2, let method = Method(rawValue: sides[1]) else { return nil }
            action = .call(method, model: sides[0])
        default:
            return nil
        }
    }
}
