/// A key that verifies access tokens, with its name (`kid`).
public struct VerifyingKey: Sendable {
    private let kid: String
    private let algorithm: Algorithm
    /// The one header that tokens of this key have, as it stands in them.
    let header: String

    private enum Algorithm: Sendable {
        case hmac(secret: [UInt8])
        case ed25519(Ed25519.PublicKey)
    }

    /// One of HS256.
    init(kid: String, secret: [UInt8]) {
        self.kid = kid
        algorithm = .hmac(secret: secret)
        header = VerifyingKey.header(kid, algorithm: "HS256")
    }

    /// One of EdDSA.
    init(kid: String, publicKey: Ed25519.PublicKey) {
        self.kid = kid
        algorithm = .ed25519(publicKey)
        header = VerifyingKey.header(kid, algorithm: "EdDSA")
    }

    /// - Parameter key: one for `verify` or `old`.
    init(_ key: TokenKey) {
        if key.purpose == .old {
            self.init(kid: key.kid, secret: key.bytes)
        } else {
            self.init(kid: key.kid, publicKey: Ed25519.PublicKey(bytes: key.bytes))
        }
    }

    private static func header(_ kid: String, algorithm: String) -> String {
        Sodium.base64url(#"{"alg":"\#(algorithm)","kid":"\#(kid)","typ":"at+jwt"}"#.utf8)
    }

    func verifies(_ signature: [UInt8], of message: some Collection<UInt8>) -> Bool {
        switch algorithm {
        case .hmac(let secret): Sodium.equal(signature, Sodium.hmac(message, key: secret))
        case .ed25519(let key): key.verifies(signature, of: message)
        }
    }

    /// As a JSON Web Key (RFC 8037, 2); nil where it is a secret one.
    public var jwk: String? {
        guard case .ed25519(let key) = algorithm else { return nil }
        let x = Sodium.base64url(key.bytes)
        return #"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"\#(kid)","x":"\#(x)"}"#
    }
}
