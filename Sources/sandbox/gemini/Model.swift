import FoundationEssentials

/// A model as `GET models/MODEL` describes it.
struct Model: Encodable {
    let name: String
    let version = "001"
    let displayName: String
    let description = "Played by the sandbox: no model stands behind it."
    let inputTokenLimit = 1_048_576
    let outputTokenLimit = 65_536
    let supportedGenerationMethods = ["generateContent", "countTokens"]
    let thinking = true

    private init(_ name: String) {
        self.name = "models/\(name)"
        displayName = name.split(separator: "-").map(\.capitalized).joined(separator: " ")
    }

    static let current = [
        "gemini-4-argon", "gemini-4-carbon", "gemini-4-hydrogen", "gemini-3.8-flash", "gemini-3.6-flash",
        "gemini-3.5-flash-lite", "gemini-3.1-flash-lite", "gemini-3.1-pro-preview", "gemini-2.5-pro",
        "gemini-2.5-flash",
    ]
    /// Only v1beta knows these.
    static let aliases = ["gemini-flash-latest", "gemini-flash-lite-latest", "gemini-pro-latest"]
    /// Shut down, or without `generateContent`.
    private static let absent = ["gemini-1.", "gemini-2.0-", "gemini-embedding-"]

    /// Any model of the family, so that a model newer than this file can be configured.
    static func named(_ name: String, version: String) throws -> Model {
        guard name.hasPrefix("gemini-"), !absent.contains(where: name.hasPrefix),
            version == "v1beta" || !aliases.contains(name)
        else { throw GoogleError.noSuchModel(name, version: version) }
        return Model(name)
    }

    static func all(version: String) -> [Model] {
        (current + (version == "v1beta" ? aliases : [])).map(Model.init)
    }
}

/// The answer of `GET models`.
struct ModelList: Encodable {
    let models: [Model]

    init(version: String) {
        models = Model.all(version: version)
    }
}
