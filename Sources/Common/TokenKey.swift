/// A key that signs access tokens, with its name (`kid`).
public struct TokenKey: Sendable {
    public let kid: String
    private let algorithm: Algorithm
    /// The one header that tokens of this key have, as it stands in them.
    let header: String
    /// For keyed hashes of one-time passwords: another key out of the same secret.
    let otpSecret: [UInt8]
    /// For refresh tokens: a third one.
    let refreshSecret: [UInt8]
    /// For cursors of lists: a fourth.
    let cursorSecret: [UInt8]
    /// For links of shares: a fifth.
    let shareSecret: [UInt8]
    /// For what limits the number of a deleted account: a sixth.
    let limitSecret: [UInt8]

    /// HS256 (RFC 7518, 3.2), or EdDSA (RFC 8037), which others can verify too.
    private enum Algorithm: Sendable {
        case hmac(secret: [UInt8])
        case ed25519(Ed25519)
    }

    private init(kid: String, secret: [UInt8], isEd25519: Bool) {
        self.kid = kid
        algorithm = isEd25519 ? .ed25519(Ed25519(seed: secret)) : .hmac(secret: secret)
        let name = isEd25519 ? "EdDSA" : "HS256"
        header = Sodium.base64url(#"{"alg":"\#(name)","kid":"\#(kid)","typ":"at+jwt"}"#.utf8)
        otpSecret = Sodium.hmac("one-time password".utf8, key: secret)
        refreshSecret = Sodium.hmac("refresh token".utf8, key: secret)
        cursorSecret = Sodium.hmac("cursor".utf8, key: secret)
        shareSecret = Sodium.hmac("share".utf8, key: secret)
        limitSecret = Sodium.hmac("limit".utf8, key: secret)
    }

    func signature(of message: some Collection<UInt8>) -> [UInt8] {
        switch algorithm {
        case .hmac(let secret): Sodium.hmac(message, key: secret)
        case .ed25519(let pair): pair.signature(of: message)
        }
    }

    func verifies(_ signature: [UInt8], of message: some Collection<UInt8>) -> Bool {
        switch algorithm {
        case .hmac(let secret): Sodium.equal(signature, Sodium.hmac(message, key: secret))
        case .ed25519(let pair): pair.verifies(signature, of: message)
        }
    }

    /// The public key as a JSON Web Key (RFC 8037, 2); nil where it is a secret one.
    public var jwk: String? {
        guard case .ed25519(let pair) = algorithm else { return nil }
        let x = Sodium.base64url(pair.publicKey)
        return #"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"\#(kid)","x":"\#(x)"}"#
    }

    /// The one that signs; without any, the process ends.
    public static func signing() -> TokenKey {
        guard let key = Settings.tokenKeys.first else { Settings.refuse("TOKEN_KEYS is not set") }
        return key
    }

    /// The keys of `TOKEN_KEYS`; a list that cannot be used ends the process.
    static func list(_ setting: String) -> [TokenKey] {
        let keys = setting.split(separator: ",").map { entry in
            let parts = entry.split(separator: ":", omittingEmptySubsequences: false)
            let isEd25519 = parts.count == 3 && parts[1] == "ed25519"
            guard parts.count == 2 || isEd25519, let secret = Sodium.decode(parts[parts.count - 1], standard: true)
            else {
                Settings.refuse("TOKEN_KEYS must be kid:base64[,…] or kid:ed25519:base64[,…]")
            }
            guard !parts[0].isEmpty, parts[0].utf8.allSatisfy({ $0.isKidCharacter }) else {
                Settings.refuse("a kid in TOKEN_KEYS must be of letters, digits, dots, dashes and underscores")
            }
            guard secret.count >= 32 else {
                Settings.refuse("the key \(parts[0]) in TOKEN_KEYS is shorter than 32 bytes (RFC 7518, 3.2)")
            }
            guard !isEd25519 || secret.count == 32 else {
                Settings.refuse("the key \(parts[0]) in TOKEN_KEYS is no seed of 32 bytes (RFC 8032, 5.1.5)")
            }
            return TokenKey(kid: String(parts[0]), secret: secret, isEd25519: isEd25519)
        }
        if Set(keys.map(\.kid)).count < keys.count { Settings.refuse("TOKEN_KEYS names a kid twice") }
        // A try of a code is compared under each (try_code).
        if keys.count > 8 { Settings.refuse("TOKEN_KEYS has more than 8 keys") }
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
