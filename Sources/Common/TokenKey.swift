/// A key of a process for one purpose, with its name (`kid`).
public struct TokenKey: Sendable {
    let kid: String
    let purpose: KeyPurpose
    let bytes: [UInt8]

    /// What follows a root key's kid in that of the pair for access tokens which is derived from it.
    static let accessSuffix = ".access"

    /// The kid of the root key that it comes from.
    var rootKid: String {
        let hasSuffix = purpose == .sign && kid.hasSuffix(TokenKey.accessSuffix)
        return hasSuffix ? String(kid.dropLast(TokenKey.accessSuffix.count)) : kid
    }

    /// As `TOKEN_KEYS` has it.
    var text: String { "\(kid):\(purpose.rawValue):\(Sodium.base64(bytes))" }
}
