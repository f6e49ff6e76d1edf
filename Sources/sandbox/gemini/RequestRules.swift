import FoundationEssentials

extension Decodable {
    /// Decodes a request body; what is wrong with it becomes Google's answer.
    static func decode(_ body: [UInt8]) throws -> Self {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(Self.self, from: Data(body))
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            throw GoogleError.invalid(
                "Invalid value at '\(fieldPath(context.codingPath))': \(context.debugDescription)")
        } catch let error as DecodingError {
            throw GoogleError.invalid("Invalid JSON payload received. Unable to parse it. (\(error))")
        }
    }
}

extension Decoder {
    /// An object that has no other names than these.
    func object<Name: CodingKey>(of: Name.Type) throws -> KeyedDecodingContainer<Name> {
        for key in try container(keyedBy: AnyName.self).allKeys where Name(stringValue: key.stringValue) == nil {
            let place = codingPath.isEmpty ? "" : " at '\(fieldPath(codingPath))'"
            throw GoogleError.invalid(
                "Invalid JSON payload received. Unknown name \"\(key.stringValue)\"\(place): Cannot find field.")
        }
        return try container(keyedBy: Name.self)
    }
}

private struct AnyName: CodingKey {
    let stringValue: String
    let intValue: Int? = nil

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// `contents[0].parts[1].text`
private func fieldPath(_ path: [any CodingKey]) -> String {
    path.reduce(into: "") { text, key in
        text += key.intValue.map { "[\($0)]" } ?? (text.isEmpty ? key.stringValue : ".\(key.stringValue)")
    }
}

extension GenerateRequest {
    /// The rules that a well-formed request can still break.
    func check(model: String) throws {
        guard let contents, let last = contents.last else {
            throw GoogleError.invalid("* GenerateContentRequest.contents: contents is not specified\n")
        }
        for (index, content) in contents.enumerated() { try content.check(at: "contents[\(index)]") }
        try systemInstruction?.check(at: "system_instruction")
        if !last.isUser, !Self.takesModelTurnLast(model) {
            throw GoogleError.invalid("Requests ending with a model turn are not supported.")
        }
        if candidateCount ?? 1 > 1, !model.hasPrefix("gemini-2.") {
            throw GoogleError.invalid("Multiple candidates is not enabled for this model")
        }
        try thinking?.check(model: model)
    }

    /// The older models continue a model turn; all from 3.5-flash-lite and 3.6 on refuse it.
    private static func takesModelTurnLast(_ model: String) -> Bool {
        ["gemini-2.", "gemini-3-", "gemini-3.1-", "gemini-pro-latest"].contains(where: model.hasPrefix)
    }
}

extension Content {
    fileprivate func check(at place: String) throws {
        guard role == nil || role == "user" || role == "model" else {
            throw GoogleError.invalid("Please use a valid role: user, model.")
        }
        guard let parts, !parts.isEmpty else {
            throw GoogleError.invalid("* GenerateContentRequest.\(place).parts: contents.parts must not be empty.\n")
        }
        for (index, part) in parts.enumerated() where !part.hasData {
            throw GoogleError.invalid(
                "* GenerateContentRequest.\(place).parts[\(index)].data: required oneof field 'data' must have one "
                    + "initialized field\n")
        }
        for file in files { try file.check() }
    }
}

extension InlineData {
    /// Of pictures not every kind is taken: https://ai.google.dev/gemini-api/docs/image-understanding
    fileprivate func check() throws {
        let pictures = ["png", "jpeg", "webp", "heic", "heif"].map { "image/\($0)" }
        let isTaken =
            pictures.contains(mimeType) || mimeType == "application/pdf"
            || ["text/", "audio/", "video/"].contains(where: mimeType.hasPrefix)
        guard isTaken else { throw GoogleError.invalid("Unsupported MIME type: \(mimeType)") }
        guard bytes > 0, !isUnreadable else {
            let isDocument = mimeType == "application/pdf"
            throw GoogleError.invalid(
                isDocument ? "The document has no pages." : "Unable to process input image. Please retry or report.")
        }
    }
}

extension ThinkingConfig {
    /// 2.5 takes a budget, all after it a level; some levels are not for every model.
    fileprivate func check(model: String) throws {
        let takesBudget = model.hasPrefix("gemini-2.")
        if level != nil, budget != nil {
            throw GoogleError.invalid("You can only set only one of thinking budget and thinking level.")
        }
        if level != nil, takesBudget { throw GoogleError.invalid("Thinking level is not supported for this model.") }
        if budget != nil, !takesBudget { throw GoogleError.invalid("Thinking budget is not supported for this model.") }
        guard let level else { return }
        let low = ["gemini-3.7-flash", "gemini-3.8-flash", "gemini-4-argon"].contains(model) ? [] : ["minimal"]
        guard (low + ["low", "medium", "high"]).contains(level) else {
            throw GoogleError.invalid("Thinking level \(level.uppercased()) is not supported for this model.")
        }
    }
}
