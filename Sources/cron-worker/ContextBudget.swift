import Common

/// How many tokens of a conversation may go along, by model.
struct ContextBudget {
    /// For models that are not named.
    private let standard = Settings.number("CONTEXT_TOKENS", default: 32_000, in: 100...1_000_000)
    /// `{"model": tokens}`
    private let named: String

    init() {
        let pairs = Settings.text("CONTEXT_TOKENS_BY_MODEL", default: "").split(separator: ",").map { pair in
            let parts = pair.split(separator: "=")
            guard parts.count == 2, let tokens = Int(parts[1]), (100...1_000_000).contains(tokens) else {
                Settings.refuse("CONTEXT_TOKENS_BY_MODEL must be like model=64000,other=8000, not \"\(pair)\"")
            }
            return "\(JSON.quoted(String(parts[0]))):\(tokens)"
        }
        named = "{\(pairs.joined(separator: ","))}"
    }

    /// That of the model which `model` selects, where the plan of the tier that `tier` selects has none that is smaller.
    func of(_ model: SQL, tier: SQL) -> SQL { "least(\(of(model)), nullif(\(Plan.contextTokens(of: tier)), 0))" }

    /// That of the model which `model` selects.
    func of(_ model: SQL) -> SQL { "coalesce((\(named)::jsonb ->> \(model))::int, \(standard)::int)" }
}
