/// A key that signs access tokens, with its name (`kid`).
public struct TokenKey: Sendable {
    public let kid: String
    public let secret: [UInt8]
    /// The one header that tokens of this key have, as it stands in them.
    let header: String
    /// For keyed hashes of one-time passwords: another key out of the same secret.
    let otpSecret: [UInt8]
    /// For refresh tokens: a third one.
    let refreshSecret: [UInt8]

    init(kid: String, secret: [UInt8]) {
        self.kid = kid
        self.secret = secret
        header = Sodium.base64url(#"{"alg":"HS256","kid":"\#(kid)","typ":"at+jwt"}"#.utf8)
        otpSecret = Sodium.hmac("one-time password".utf8, key: secret)
        refreshSecret = Sodium.hmac("refresh token".utf8, key: secret)
    }

    /// The one that signs; without any, the process ends.
    public static func signing() -> TokenKey {
        guard let key = Settings.tokenKeys.first else { Settings.refuse("TOKEN_KEYS is not set") }
        return key
    }

    /// The keys of `TOKEN_KEYS`; a list that cannot be used ends the process.
    static func list(_ setting: String) -> [TokenKey] {
        let keys = setting.split(separator: ",").map { entry in
            let parts = entry.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let secret = Sodium.decode(parts[1], standard: true) else {
                Settings.refuse("TOKEN_KEYS must be kid:base64[,kid:base64…]")
            }
            guard parts[0].utf8.allSatisfy({ $0.isKidCharacter }) else {
                Settings.refuse("a kid in TOKEN_KEYS must be of letters, digits, dots, dashes and underscores")
            }
            guard secret.count >= 32 else {
                Settings.refuse("the key \(parts[0]) in TOKEN_KEYS is shorter than 32 bytes (RFC 7518, 3.2)")
            }
            return TokenKey(kid: String(parts[0]), secret: secret)
        }
        if Set(keys.map(\.kid)).count < keys.count { Settings.refuse("TOKEN_KEYS names a kid twice") }
        return keys
    }
}

extension UInt8 {
    fileprivate var isKidCharacter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
