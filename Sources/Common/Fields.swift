/// What a text of a body must be like.
public protocol TextRule {
    /// How many characters (Unicode scalars, as Postgres counts them).
    static var length: ClosedRange<Int> { get }
    /// What else is wrong with it, as the predicate of a sentence.
    static func fault(_ text: String) -> String?
}

extension TextRule {
    public static func fault(_ text: String) -> String? { nil }
}

/// A text of a body that keeps to its rule; NUL is refused everywhere.
public struct Text<Rule: TextRule>: Decodable, SQLValue {
    public let text: String
    public var sqlText: String { text }

    public init(from decoder: any Decoder) throws {
        text = try decoder.singleValueContainer().decode(String.self)
        // A scalar has 4 bytes at most, and bytes are counted at once.
        let isTooLong = text.utf8.count > 4 * Rule.length.upperBound
        if !isTooLong, text.utf8.contains(0) { throw Problem.Field("must not hold NUL", at: decoder.codingPath) }
        guard !isTooLong, Rule.length.contains(text.unicodeScalars.count) else {
            let (least, most) = (Rule.length.lowerBound, Rule.length.upperBound)
            let detail =
                least == 0 ? "must have at most \(most) characters" : "must have \(least) to \(most) characters"
            throw Problem.Field(detail, at: decoder.codingPath)
        }
        if let fault = Rule.fault(text) { throw Problem.Field(fault, at: decoder.codingPath) }
    }
}

public typealias Username = Text<UsernameRule>
public typealias NewPassword = Text<NewPasswordRule>
public typealias CurrentPassword = Text<CurrentPasswordRule>
public typealias Title = Text<TitleRule>
public typealias SystemInstruction = Text<SystemInstructionRule>
public typealias Content = Text<ContentRule>
public typealias Model = Text<ModelRule>

public enum UsernameRule: TextRule { public static let length = 1...80 }
public enum CurrentPasswordRule: TextRule { public static let length = 1...128 }
public enum TitleRule: TextRule { public static let length = 0...100 }
public enum SystemInstructionRule: TextRule { public static let length = 0...8_000 }
public enum ContentRule: TextRule { public static let length = 1...32_000 }

/// A password that is not among the first that somebody would guess.
public enum NewPasswordRule: TextRule {
    public static let length = 8...128
    public static func fault(_ text: String) -> String? {
        let text = Password.normalized(text)
        if text.unicodeScalars.count < length.lowerBound { return "must have 8 to 128 characters" }
        return CommonPasswords.all.contains(text.lowercased()) ? "is one of the most common passwords" : nil
    }
}

/// How many days may be asked for.
public protocol DaysRule {
    static var range: ClosedRange<Int> { get }
}

/// A number of days of a body that keeps to its rule.
public struct Days<Rule: DaysRule>: Decodable, SQLValue {
    public let count: Int
    public var sqlText: String { count.sqlText }

    public init(from decoder: any Decoder) throws {
        let (least, most) = (Rule.range.lowerBound, Rule.range.upperBound)
        // Whatever else it is, a fraction or a string, is told the same.
        guard let count = try? decoder.singleValueContainer().decode(Int.self), Rule.range.contains(count) else {
            throw Problem.Field("must be a whole number from \(least) to \(most)", at: decoder.codingPath)
        }
        self.count = count
    }
}

/// For how many days messages are kept.
public typealias RetentionDays = Days<RetentionDaysRule>
/// For how many days a link shows what it leads to.
public typealias ShareDays = Days<ShareDaysRule>

public enum RetentionDaysRule: DaysRule { public static let range = 1...3_650 }
public enum ShareDaysRule: DaysRule { public static let range = 1...365 }

/// A model that the operator allows.
public enum ModelRule: TextRule {
    public static let length = 1...100
    public static func fault(_ text: String) -> String? {
        Settings.models.contains(text) ? nil : "must be one of \(Settings.models.sorted().joined(separator: ", "))"
    }
}
