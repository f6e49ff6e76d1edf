/// One-time passwords: six digits, five minutes, five tries (`try_code`), one use; only their keyed hash is kept.
public struct OTP: Sendable {
    /// What a one-time password is good for; one purpose's never serves another.
    public enum Purpose: String, Decodable, Sendable { case reset, signIn = "sign_in" }

    /// Seconds that one is good for.
    public static let seconds = 300

    public let code: String

    /// A new one, each of the million equally likely.
    public static func random() -> OTP {
        let digits = String(Sodium.random(below: 1_000_000))
        return OTP(code: String(repeating: "0", count: 6 - digits.count) + digits)
    }

    private init(code: String) { self.code = code }

    /// The keyed hash under the current key, bound to the number and the purpose.
    public func hash(mobile: Mobile, purpose: Purpose, key: TokenKey = Settings.tokenKeys.first(.otp)) -> String {
        OTP.hash(code, mobile, purpose, key)
    }

    /// The hashes that a guess may match: one for each key, so that rotating keys spoils no code.
    public static func hashes(
        of guess: EnteredOTP, mobile: Mobile, purpose: Purpose, keys: [TokenKey] = Settings.tokenKeys[.otp]
    ) -> [String] {
        keys.map { hash(guess.code, mobile, purpose, $0) }
    }

    /// The code as a job carries it to the worker: encrypted under the current key, for this number and purpose alone.
    func sealed(mobile: Mobile, purpose: Purpose, key: TokenKey = Settings.tokenKeys.first(.otp)) -> String {
        Sodium.base64url(Sodium.seal(Array(code.utf8), key: OTP.sealing(mobile, purpose, key)))
    }

    /// The code that one of our keys sealed for this number and purpose.
    public init?(
        sealed text: String, mobile: Mobile, purpose: Purpose, keys: [TokenKey] = Settings.tokenKeys[.otp]
    ) {
        guard let box = Sodium.decode(text),
            let code = keys.lazy.compactMap({ Sodium.open(box, key: OTP.sealing(mobile, purpose, $0)) }).first
        else { return nil }
        self.code = String(decoding: code, as: UTF8.self)
    }

    private static func sealing(_ mobile: Mobile, _ purpose: Purpose, _ key: TokenKey) -> [UInt8] {
        Sodium.hmac("delivery|\(purpose.rawValue)|\(mobile.digits)".utf8, key: key.bytes)
    }

    private static func hash(_ code: String, _ mobile: Mobile, _ purpose: Purpose, _ key: TokenKey) -> String {
        Sodium.hmac("\(purpose.rawValue)|\(mobile.digits)|\(code)".utf8, key: key.bytes).hex
    }
}

/// A code as somebody enters it: six digits, with whatever separates them. What is something else is refused before it counts as a try.
public struct EnteredOTP: Decodable, Sendable {
    let code: String

    /// More than six digits have with all their separators, in bytes.
    private static let longest = 64

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        let scalars = text.utf8.count <= EnteredOTP.longest ? Array(text.unicodeScalars.filter { !$0.isSeparator }) : []
        guard scalars.count == 6, scalars.allSatisfy({ ("0"..."9").contains($0) }) else {
            throw Problem.Field("must be six digits from 0 to 9", at: decoder.codingPath)
        }
        code = String(String.UnicodeScalarView(scalars))
    }
}

/// How many tries a code has left, as `try_code` tells.
struct TriesLeft: Decodable {
    let count: Int
    enum CodingKeys: String, CodingKey { case count = "attempts_left" }
}

extension Problem {
    /// A code that is not the one that was sent, or is good no more.
    static func otpInvalid(left: Int) -> Problem {
        Problem(401, "otp_invalid", "The code is wrong, used or over.", extra: ["attempts_left": left])
    }

    /// The code is one that was sent before the current one.
    static func otpSuperseded(left: Int) -> Problem {
        Problem(
            401, "otp_superseded", "A newer code has been sent. Enter that one.", extra: ["attempts_left": left])
    }
}
