import CSodium

/// A key pair for signatures by Ed25519 (RFC 8032).
struct Ed25519: Sendable {
    let publicKey: PublicKey
    private let secretKey: [UInt8]

    /// The half that everybody may know.
    struct PublicKey: Sendable {
        /// 32 of them.
        let bytes: [UInt8]

        /// Whether its pair made the signature.
        func verifies(_ signature: [UInt8], of message: some Collection<UInt8>) -> Bool {
            Sodium.ready
            let message = Array(message)
            return signature.count == Int(crypto_sign_bytes())
                && crypto_sign_verify_detached(signature, message, UInt64(message.count), bytes) == 0
        }
    }

    /// - Parameter seed: 32 bytes, the private key of RFC 8032.
    init(seed: [UInt8]) {
        Sodium.ready
        var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_publickeybytes()))
        var secretKey = [UInt8](repeating: 0, count: Int(crypto_sign_secretkeybytes()))
        precondition(seed.count == Int(crypto_sign_seedbytes()))
        crypto_sign_seed_keypair(&publicKey, &secretKey, seed)
        self.publicKey = PublicKey(bytes: publicKey)
        self.secretKey = secretKey
    }

    /// The signature of 64 bytes: always the same for the same message.
    func signature(of message: some Collection<UInt8>) -> [UInt8] {
        let message = Array(message)
        var signature = [UInt8](repeating: 0, count: Int(crypto_sign_bytes()))
        crypto_sign_detached(&signature, nil, message, UInt64(message.count), secretKey)
        return signature
    }
}
