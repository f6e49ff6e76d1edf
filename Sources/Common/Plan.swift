/// What a tier is allowed, as the operator set it.
public struct Plan: Sendable {
    /// Messages in a day of the user's, and in a minute; 0: as many as they like.
    public let messagesPerDay: Int
    public let messagesPerMinute: Int
    /// Tokens of a conversation that go along with a message, and of a reply; 0: as the model is set.
    public let contextTokens: Int
    public let outputTokens: Int
    /// Models that a room may choose. The one for rooms that chose none is among them.
    public let models: [String]
    /// Bytes of a file, and of all that are stored.
    public let fileBytes: Int
    public let storedBytes: Int

    public static let basic = Plan(
        "BASIC", perDay: 5, perMinute: 10, context: 16_000, output: 8_192, file: 5, stored: 50)
    public static let pro = Plan("PRO", perDay: 1_000, perMinute: 60, context: 0, output: 0, file: 14, stored: 1_000)

    /// That of a tier, by its name.
    public static func of(tier: String) -> Plan { tier == "pro" ? pro : basic }

    private init(
        _ name: String, perDay: Int, perMinute: Int, context: Int, output: Int, file: Int, stored: Int
    ) {
        func number(_ what: String, _ value: Int, in range: ClosedRange<Int> = 0...1_000_000) -> Int {
            Settings.number("PLAN_\(name)_\(what)", default: value, in: range)
        }
        let (perDay, perMinute) = (number("MESSAGES_PER_DAY", perDay), number("MESSAGES_PER_MINUTE", perMinute))
        messagesPerDay = Settings.limits ? perDay : 0
        messagesPerMinute = Settings.limits ? perMinute : 0
        contextTokens = number("CONTEXT_TOKENS", context)
        outputTokens = number("OUTPUT_TOKENS", output)
        // nginx.conf lets 16 MB through, and a larger file than fits into a call could go with no message.
        fileBytes = min(number("ATTACHMENT_MB", file, in: 1...16) << 20, Attachment.longestOfMessage)
        storedBytes = number("STORAGE_MB", stored, in: 1...1_000_000) << 20
        let setting = "PLAN_\(name)_MODELS"
        let models = Set(Settings.text(setting, default: "").split(separator: ",").map(String.init))
        guard models.isSubset(of: Settings.models) else {
            Settings.refuse("\(setting) must be of GEMINI_MODELS, not \(models.subtracting(Settings.models).sorted())")
        }
        self.models = (models.isEmpty ? Settings.models : models.union([Settings.model])).sorted()
    }

    // MARK: SQL, of the table `users` under the name `u`

    /// The model that answers in a room that chose the one which `chosen` selects: the operator's where it chose none, or one that
    /// the plan does not include any more.
    public static func model(_ chosen: SQL) -> SQL {
        "(case when \(chosen) = any(\(models)) then \(chosen) else \(Settings.model) end)"
    }

    private static let models: SQL =
        "case tier(u) when 'pro' then \(pro.models)::text[] else \(basic.models)::text[] end"

    /// `contextTokens` of the tier that `tier` selects.
    public static func contextTokens(of tier: SQL) -> SQL {
        "case \(tier) when 'pro' then \(pro.contextTokens)::int else \(basic.contextTokens)::int end"
    }
}

extension Problem {
    /// The caller's plan does not go so far.
    public static let planForbids = Problem(402, "plan_forbids", "Your plan does not include this model.")

    public static func fileTooLarge(_ plan: Plan) -> Problem {
        Problem(413, "body_too_large", "The file is larger than the \(plan.fileBytes >> 20) MB of your plan.")
    }

    static func storageFull(_ plan: Plan) -> Problem {
        Problem(
            409, "storage_full",
            "Your files would have more than the \(plan.storedBytes >> 20) MB of your plan; delete some first.")
    }
}
