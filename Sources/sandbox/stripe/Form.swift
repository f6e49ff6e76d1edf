import SandboxHTTP

/// The parameters of a request, under their names as sent: `line_items[0][price]`.
struct Form {
    let fields: [String: String]

    /// Those of its query or of its body. One that the call does not take is refused, as Stripe does.
    init(_ request: HTTPRequest, takes names: Set<String>) throws {
        guard let fields = request.method == "POST" ? request.form : request.query else {
            throw StripeFault.invalid("The parameters cannot be read.")
        }
        self.fields = fields
        for name in fields.keys.sorted() {
            let top = String(name.prefix { $0 != "[" })
            guard names.contains(top) || top == "expand" else {
                throw StripeFault.invalid("Received unknown parameter: \(name)", param: name, code: "parameter_unknown")
            }
        }
    }

    subscript(name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// Whether it was sent, empty or not: empty means that it is to be unset.
    func has(_ name: String) -> Bool { fields[name] != nil }

    func required(_ name: String) throws -> String {
        guard let value = self[name] else {
            throw StripeFault.invalid("Missing required param: \(name).", param: name, code: "parameter_missing")
        }
        return value
    }

    func flag(_ name: String) throws -> Bool? {
        guard let value = self[name] else { return nil }
        guard ["true", "false"].contains(value) else {
            throw StripeFault.invalid("Invalid boolean: \(value)", param: name)
        }
        return value == "true"
    }

    func number(_ name: String) throws -> Int? {
        guard let value = self[name] else { return nil }
        guard let number = Int(value) else { throw StripeFault.invalid("Invalid integer: \(value)", param: name) }
        return number
    }

    /// Its members in brackets: `metadata[user_id]`.
    func members(_ name: String) -> [String: String] {
        var members: [String: String] = [:]
        for (key, value) in fields where key.hasPrefix("\(name)[") && key.hasSuffix("]") {
            members[String(key.dropFirst(name.count + 1).dropLast())] = value
        }
        return members
    }

    /// Whether this path is to be shown whole: `data.latest_invoice`.
    func expands(_ path: String) -> Bool { fields.contains { $0.key.hasPrefix("expand[") && $0.value == path } }

    /// A page of `all`, which are in the order in which they came to be: the newest first, as Stripe lists them.
    func page<Element>(
        _ all: [Element], url: String, id: (Element) -> String, json: (Element) -> Value
    ) throws -> Value {
        let limit = try number("limit") ?? 10
        guard (1...100).contains(limit) else { throw StripeFault.invalid("Invalid limit", param: "limit") }
        var rest = Array(all.reversed())[...]
        if let after = self["starting_after"] {
            guard let index = rest.firstIndex(where: { id($0) == after }) else {
                throw StripeFault.missing("object", after, param: "starting_after")
            }
            rest = rest[(index + 1)...]
        }
        return [
            "object": "list", "url": .string(url), "has_more": .bool(rest.count > limit),
            "data": .list(rest.prefix(limit).map(json)),
        ]
    }
}
