/// What stands between two commas of `TOKEN_KEYS`: a root key as `kid:base64` or `kid:ed25519:base64`, or a derived one as
/// `kid:PURPOSE:base64`.
enum KeyEntry {
    case root(RootKey)
    case derived(TokenKey)

    /// Reads one; the process ends where it cannot be used. No line of that holds a key, or what may be one in the wrong place.
    init(_ text: Substring) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count) else {
            Settings.refuse(
                "TOKEN_KEYS must be kid:base64[,…] or kid:ed25519:base64[,…], or derived keys: kid:purpose:base64[,…]")
        }
        guard !parts[0].isEmpty, parts[0].utf8.allSatisfy(\.isKidCharacter) else {
            Settings.refuse("a kid in TOKEN_KEYS must be of letters, digits, dots, dashes and underscores")
        }
        let kid = String(parts[0])
        guard let bytes = Sodium.decode(parts[parts.count - 1], standard: true) else {
            Settings.refuse("the key \(kid) in TOKEN_KEYS is not base64")
        }
        if parts.count == 2 || parts[1] == "ed25519" {
            self = .root(KeyEntry.rootKey(kid, bytes, isEd25519: parts.count == 3))
        } else {
            self = .derived(KeyEntry.derivedKey(kid, bytes, purpose: String(parts[1])))
        }
    }

    private static func rootKey(_ kid: String, _ secret: [UInt8], isEd25519: Bool) -> RootKey {
        guard secret.count >= 32 else {
            Settings.refuse("the key \(kid) in TOKEN_KEYS is shorter than 32 bytes (RFC 7518, 3.2)")
        }
        guard !isEd25519 || secret.count == 32 else {
            Settings.refuse("the key \(kid) in TOKEN_KEYS is no seed of 32 bytes (RFC 8032, 5.1.5)")
        }
        return RootKey(kid: kid, secret: secret, isEd25519: isEd25519)
    }

    private static func derivedKey(_ kid: String, _ bytes: [UInt8], purpose: String) -> TokenKey {
        guard let purpose = KeyPurpose(rawValue: purpose) else {
            let known = KeyPurpose.allCases.map(\.rawValue).joined(separator: ", ")
            Settings.refuse("the key \(kid) in TOKEN_KEYS has an unknown purpose, which must be one of \(known)")
        }
        // Only the secret of a root key may be longer.
        guard bytes.count == 32 || purpose == .old && bytes.count > 32 else {
            Settings.refuse("the key \(kid) for \(purpose.rawValue) in TOKEN_KEYS does not have 32 bytes")
        }
        return TokenKey(kid: kid, purpose: purpose, bytes: bytes)
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
