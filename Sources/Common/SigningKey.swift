/// A key that signs access tokens.
public struct SigningKey: Sendable {
    /// The kid of the root key that it is, or is derived from.
    let rootKid: String
    /// What verifies its signatures.
    let verifying: VerifyingKey
    private let algorithm: Algorithm

    /// HS256 (RFC 7518, 3.2), or EdDSA (RFC 8037), which others can verify too.
    private enum Algorithm: Sendable {
        case hmac(secret: [UInt8])
        case ed25519(Ed25519)
    }

    /// A root key, which signs with its secret.
    init(root: RootKey) {
        if root.isEd25519 {
            self.init(kid: root.kid, rootKid: root.kid, seed: root.secret)
        } else {
            self.init(kid: root.kid, secret: root.secret)
        }
    }

    /// - Parameter key: one for `sign`.
    init(derived key: TokenKey) { self.init(kid: key.kid, rootKid: key.rootKid, seed: key.bytes) }

    private init(kid: String, secret: [UInt8]) {
        rootKid = kid
        verifying = VerifyingKey(kid: kid, secret: secret)
        algorithm = .hmac(secret: secret)
    }

    private init(kid: String, rootKid: String, seed: [UInt8]) {
        let pair = Ed25519(seed: seed)
        self.rootKid = rootKid
        verifying = VerifyingKey(kid: kid, publicKey: pair.publicKey)
        algorithm = .ed25519(pair)
    }

    /// The one header that tokens of this key have.
    var header: String { verifying.header }

    func signature(of message: some Collection<UInt8>) -> [UInt8] {
        switch algorithm {
        case .hmac(let secret): Sodium.hmac(message, key: secret)
        case .ed25519(let pair): pair.signature(of: message)
        }
    }
}
