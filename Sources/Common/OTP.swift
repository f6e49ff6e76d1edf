/// One-time passwords: six digits, five minutes, five tries, one use; only their keyed hash is kept.
public struct OTP: Sendable {
    /// What a one-time password is good for; one purpose's never serves another.
    public enum Purpose: String, Sendable { case signIn = "sign_in" }

    /// Seconds that one is good for.
    public static let seconds = 300
    /// Wrong guesses after which one is dead.
    public static let tries = 5

    public let code: String

    /// A new one, each of the million equally likely.
    public static func random() -> OTP {
        let digits = String(Sodium.random(below: 1_000_000))
        return OTP(code: String(repeating: "0", count: 6 - digits.count) + digits)
    }

    private init(code: String) { self.code = code }

    /// The keyed hash under the current key, bound to the number and the purpose.
    public func hash(mobile: Mobile, purpose: Purpose, keys: [TokenKey] = Settings.tokenKeys) -> String {
        guard let key = keys.first else { Settings.refuse("TOKEN_KEYS is not set") }
        return OTP.hash(code, mobile, purpose, key)
    }

    /// The hashes that a guess may match: one for each key, so that rotating keys spoils no code.
    public static func hashes(
        of guess: String, mobile: Mobile, purpose: Purpose, keys: [TokenKey] = Settings.tokenKeys
    ) -> [String] {
        keys.map { hash(guess, mobile, purpose, $0) }
    }

    private static func hash(_ code: String, _ mobile: Mobile, _ purpose: Purpose, _ key: TokenKey) -> String {
        Sodium.hmac("\(purpose.rawValue)|\(mobile.digits)|\(code)".utf8, key: key.otpSecret).hex
    }
}
