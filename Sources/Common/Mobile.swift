/// A mobile number as it is stored: `+` and 6 to 15 digits. New ones are in the form of ITU-T E.164, whose country codes
/// do not begin with 0; some stored before that was checked are not.
public struct Mobile: Codable, SQLValue {
    public let digits: String
    public var sqlText: String { digits }

    fileprivate init?(digits: some Collection<UInt8>) {
        guard (6...15).contains(digits.count) else { return nil }
        self.digits = "+" + String(decoding: digits, as: UTF8.self)
    }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self).utf8
        guard text.first == UInt8(ascii: "+"), text.dropFirst().allSatisfy(\.isDigit),
            let mobile = Mobile(digits: text.dropFirst())
        else { throw DatabaseError.mismatch("no stored number") }
        self = mobile
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(digits)
    }
}

/// A mobile number as people write it. However it is written, it has one normal form:
///
/// - Spaces, dots, dashes, brackets and invisible characters are dropped, and `(0)` after a country code.
/// - After `+`, `00`, or `011` with at least 10 more digits, it begins with its country code.
/// - Otherwise it is national where it begins with `0`, which is dropped, or has as many digits as
///   `NATIONAL_DIGITS` says, and `DEFAULT_COUNTRY` is put before it.
/// - Any other begins with its country code, and its `+` was left out.
public struct WrittenMobile: Decodable, Sendable {
    /// Nil where it has none: its country is unknown, or the country code begins with 0.
    private let normal: Mobile?
    /// What it was taken for, and stored as, before numbers had a normal form; nil where that is the same.
    private let former: Mobile?

    /// More than any number has with all its separators, in bytes.
    private static let longest = 128

    /// Throws what is wrong with it, as the predicate of a sentence.
    public init(
        _ text: String, country: String = Settings.defaultCountry, nationalDigits: Int = Settings.nationalDigits
    ) throws(Fault) {
        let (hasPlus, trimmed) = try WrittenMobile.trimmed(text)
        let written = trimmed.filter(\.isDigit)
        var digits = written
        let trunk = trimmed.indices.first { trimmed[$0...].starts(with: "(0)".utf8) }
        if let trunk, trimmed[..<trunk].contains(where: \.isDigit) {
            digits = (trimmed[..<trunk] + trimmed[(trunk + 3)...]).filter(\.isDigit)
        }
        let isNational: Bool
        if hasPlus {
            isNational = false
        } else if digits.starts(with: "00".utf8) {
            digits.removeFirst(2)
            isNational = false
        } else if digits.starts(with: "011".utf8), digits.count >= 13 {
            digits.removeFirst(3)
            isNational = false
        } else if digits.first == UInt8(ascii: "0") {
            digits.removeFirst()
            isNational = true
        } else {
            isNational = !country.isEmpty && digits.count == nationalDigits
        }
        let international = isNational ? Array(country.utf8.dropFirst()) + digits : digits
        let isComplete = !(isNational && country.isEmpty) && international.first != UInt8(ascii: "0")
        normal = isComplete ? Mobile(digits: international) : nil
        let former = Mobile(digits: written)
        self.former = former?.digits == normal?.digits ? nil : former
        if normal == nil, former == nil { throw .form }
    }

    /// Whether it begins with `+`, and of the rest the digits and brackets.
    private static func trimmed(_ text: String) throws(Fault) -> (hasPlus: Bool, rest: [UInt8]) {
        guard text.utf8.count <= longest else { throw .form }
        var hasPlus = false
        var rest: [UInt8] = []
        for scalar in text.unicodeScalars {
            switch scalar {
            case "0"..."9", "(", ")": rest.append(UInt8(scalar.value))
            case "+" where !hasPlus && !rest.contains(where: \.isDigit): hasPlus = true
            case _ where scalar.isSeparator: break
            case _ where scalar.properties.generalCategory == .decimalNumber: throw .digits
            default: throw .form
            }
        }
        return (hasPlus, rest)
    }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        do { self = try WrittenMobile(text) } catch { throw Problem.Field(error.rawValue, at: decoder.codingPath) }
    }

    /// What is wrong with a number, as the predicate of a sentence.
    public enum Fault: String, Error {
        case form = "must be an optional + and 6 to 15 digits"
        case digits = "must be written with the digits 0 to 9"
        case country = "must begin with + and the country code, as in +91 98765 43210"
    }

    /// The number as it is stored: that of an account which was stored as numbers were read before, or the normal form.
    /// 422 where it has none. Only where the two differ is Postgres asked.
    /// - Parameter function: the endpoint's that looks for such an account (`stored_number`).
    public func stored(by function: StaticString, in database: Database) throws -> Mobile {
        try stored { former in
            let found: Stored = try database.call(function, former, normal)
            return found.number
        }
    }

    private struct Stored: Decodable { let number: Mobile? }

    /// The same, for the worker, which has no function of its own.
    public func stored(in database: Database) throws -> Mobile {
        try stored { former in try database.row(Mobile.self, "select * from stored_number(\(former), \(normal))") }
    }

    private func stored(finding: (_ former: Mobile) throws -> Mobile?) throws -> Mobile {
        if let known = try former.flatMap(finding) { return known }
        guard let normal else { throw Problem.invalid("mobile", Fault.country.rawValue) }
        return normal
    }

    /// As `stored`, of a country to whose numbers the operator lets codes be sent.
    public func reachable(by function: StaticString, in database: Database) throws -> Mobile {
        let mobile = try stored(by: function, in: database)
        guard Settings.otpCountries.isEmpty || Settings.otpCountries.contains(where: mobile.digits.hasPrefix) else {
            throw Problem.invalid("mobile", "must begin with \(Settings.otpCountries.joined(separator: " or "))")
        }
        return mobile
    }
}

extension Unicode.Scalar {
    /// Whether people and the programs that they copy from put it between digits: spaces, dots, dashes, and what is invisible, such as
    /// marks of the direction of writing.
    var isSeparator: Bool {
        switch properties.generalCategory {
        case .spaceSeparator, .dashPunctuation, .format: true
        default: self == "." || self == "\u{2212}" || properties.isWhitespace
        }
    }
}

extension UInt8 {
    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
