/// A root key of `TOKEN_KEYS`, from whose secret the keys of all purposes are derived.
struct RootKey: Sendable {
    let kid: String
    let secret: [UInt8]
    /// Whether the secret is the seed of a pair, so that the access tokens that it signs are of EdDSA and not of HS256.
    let isEd25519: Bool

    /// Its keys for all purposes. They can be handed out one by one: none leads back to the secret but that of `old`, which is it.
    var derived: [TokenKey] {
        let (seed, accessKid) = (Sodium.hmac("access token".utf8, key: secret), kid + TokenKey.accessSuffix)
        let own =
            isEd25519
            ? TokenKey(kid: kid, purpose: .verify, bytes: Ed25519(seed: secret).publicKey.bytes)
            : TokenKey(kid: kid, purpose: .old, bytes: secret)
        let labels: [(purpose: KeyPurpose, label: String)] = [
            (.refresh, "refresh token"), (.cursor, "cursor"), (.share, "share"), (.otp, "one-time password"),
            (.limit, "limit"),
        ]
        return [
            TokenKey(kid: accessKid, purpose: .sign, bytes: seed),
            TokenKey(kid: accessKid, purpose: .verify, bytes: Ed25519(seed: seed).publicKey.bytes), own,
        ]
            + labels.map {
                TokenKey(kid: kid, purpose: $0.purpose, bytes: Sodium.hmac($0.label.utf8, key: secret))
            }
    }
}
