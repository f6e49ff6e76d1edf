import CSodium

/// What is needed of libsodium: random bytes, keyed and plain hashes, base64url. Passwords are in `Password`.
public enum Sodium {
    /// libsodium has to be initialised before its first use; it fails only where the system has no random numbers.
    static let ready: Void = {
        if sodium_init() < 0 { Settings.refuse("libsodium cannot be initialised") }
    }()

    /// Bytes that nobody can guess.
    public static func random(_ count: Int) -> [UInt8] {
        ready
        var bytes = [UInt8](repeating: 0, count: count)
        randombytes_buf(&bytes, count)
        return bytes
    }

    /// A random UUID (RFC 9562, version 4).
    public static func uuid() -> ID {
        var bytes = random(16)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return ID(bytes: bytes)
    }

    /// A number below `limit`, each equally likely.
    public static func random(below limit: UInt32) -> UInt32 {
        ready
        return randombytes_uniform(limit)
    }

    /// HMAC-SHA256 (RFC 2104); keys of any length.
    public static func hmac(_ message: some Collection<UInt8>, key: [UInt8]) -> [UInt8] {
        ready
        let message = Array(message)
        var state = crypto_auth_hmacsha256_state()
        var tag = [UInt8](repeating: 0, count: Int(crypto_auth_hmacsha256_bytes()))
        crypto_auth_hmacsha256_init(&state, key, key.count)
        crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
        crypto_auth_hmacsha256_final(&state, &tag)
        return tag
    }

    /// SHA-256: for secrets that are random themselves, and to tell texts apart.
    public static func sha256(_ message: [UInt8]) -> [UInt8] {
        ready
        var hash = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_bytes()))
        crypto_hash_sha256(&hash, message, UInt64(message.count))
        return hash
    }

    /// Encrypts and authenticates (XSalsa20 and Poly1305) under a key of 32 bytes; a random nonce comes first.
    static func seal(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        let nonce = random(Int(crypto_secretbox_noncebytes()))
        var box = [UInt8](repeating: 0, count: message.count + Int(crypto_secretbox_macbytes()))
        crypto_secretbox_easy(&box, message, UInt64(message.count), nonce, key)
        return nonce + box
    }

    /// What was sealed under this key; nil for anything else.
    static func open(_ sealed: [UInt8], key: [UInt8]) -> [UInt8]? {
        ready
        let (nonce, tag) = (Int(crypto_secretbox_noncebytes()), Int(crypto_secretbox_macbytes()))
        guard sealed.count >= nonce + tag else { return nil }
        let box = Array(sealed.dropFirst(nonce))
        var message = [UInt8](repeating: 0, count: box.count - tag)
        let result = crypto_secretbox_open_easy(&message, box, UInt64(box.count), Array(sealed.prefix(nonce)), key)
        return result == 0 ? message : nil
    }

    /// Compares secrets in a time that depends on their length alone.
    public static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && sodium_memcmp(a, b, a.count) == 0
    }

    /// base64url without padding (RFC 4648, 5).
    public static func base64url(_ bytes: some Collection<UInt8>) -> String {
        base64(Array(bytes), variant: sodium_base64_VARIANT_URLSAFE_NO_PADDING)
    }

    /// base64 with padding (RFC 4648, 4).
    public static func base64(_ bytes: some Collection<UInt8>) -> String {
        base64(Array(bytes), variant: sodium_base64_VARIANT_ORIGINAL)
    }

    private static func base64(_ bytes: [UInt8], variant: Int32) -> String {
        // With the NUL behind it.
        let length = sodium_base64_encoded_len(bytes.count, variant)
        return String(unsafeUninitializedCapacity: length) { buffer in
            buffer.withMemoryRebound(to: CChar.self) { text in
                guard let start = text.baseAddress else { return 0 }
                sodium_bin2base64(start, length, bytes, bytes.count, variant)
                return length - 1
            }
        }
    }

    /// The bytes of strict base64url, or with `standard`, of base64 with padding; nil for anything else.
    public static func decode(_ text: some StringProtocol, standard: Bool = false) -> [UInt8]? {
        let text = Array(text.utf8)
        let variant = standard ? sodium_base64_VARIANT_ORIGINAL : sodium_base64_VARIANT_URLSAFE_NO_PADDING
        var bytes = [UInt8](repeating: 0, count: text.count)
        var count = 0
        let result = text.withUnsafeBytes { buffer in
            sodium_base642bin(
                &bytes, bytes.count, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), text.count, nil, &count,
                nil, variant)
        }
        return result == 0 ? Array(bytes.prefix(count)) : nil
    }
}

/// SHA-256 of what comes bit by bit.
public struct SHA256 {
    private var state = crypto_hash_sha256_state()

    public init() { crypto_hash_sha256_init(&state) }

    public mutating func add(_ bytes: [UInt8]) { crypto_hash_sha256_update(&state, bytes, UInt64(bytes.count)) }

    /// Of what was added so far.
    public var value: [UInt8] {
        var (state, hash) = (state, [UInt8](repeating: 0, count: Int(crypto_hash_sha256_bytes())))
        crypto_hash_sha256_final(&state, &hash)
        return hash
    }
}

extension Collection<UInt8> {
    /// Two lower-case hexadecimal digits a byte.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
