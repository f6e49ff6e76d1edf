import CLinux
import CSodium
import Glibc
@_spi(_Unicode) import Swift

/// Hashes of passwords: argon2id with 19 MiB and two passes (OWASP, Password Storage Cheat Sheet). They are of a password's normal
/// form, NFC (NIST SP 800-63B, 3.1.1.2): keyboards differ in how they write one and the same character.
public enum Password {
    private static let passes = UInt64(2)
    private static let memory = 19_456 * 1_024

    /// The hash with its salt and figures, in the form `$argon2id$v=19$m=19456,t=2,p=1$…`; about 45 ms.
    /// Throws `Problem.unavailable` where the memory cannot be had.
    public static func hash(_ password: String) throws -> String {
        Sodium.ready
        let password = normalized(password)
        var text = [CChar](repeating: 0, count: Int(crypto_pwhash_strbytes()))
        guard
            crypto_pwhash_str_alg(
                &text, password, UInt64(password.utf8.count), passes, memory, crypto_pwhash_alg_argon2id13()) == 0
        else { throw Problem.unavailable }
        // The 19 MiB go back to the system, for an idle process is to be small.
        malloc_trim(0)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Whether a hash is this password's. Without a hash the answer is no, and takes as long.
    /// Throws `Problem.unavailable` where the memory cannot be had.
    public static func matches(_ password: String, hash: String?) throws -> Bool {
        try form(of: password, in: hash) != nil
    }

    /// The form in which a password was hashed: those from before it was normalised are of what was typed.
    public enum Form { case normal, typed }

    /// The same, with the form that matches; nil where none does.
    public static func form(of password: String, in hash: String?) throws -> Form? {
        let normal = normalized(password)
        if try verifies(normal, hash) { return .normal }
        guard !normal.utf8.elementsEqual(password.utf8) else { return nil }
        return try verifies(password, hash) ? .typed : nil
    }

    /// In Unicode's normalization form C, by the tables that Swift compares strings with. A password has at most 128 scalars: the time
    /// grows with the square of them.
    static func normalized(_ password: String) -> String {
        password.utf8.allSatisfy { $0 < 0x80 } ? password : String(String.UnicodeScalarView(password._nfc))
    }

    private static func verifies(_ password: String, _ hash: String?) throws -> Bool {
        Sodium.ready
        errno = 0
        let result = crypto_pwhash_str_verify(hash ?? nobodys, password, UInt64(password.utf8.count))
        let isOutOfMemory = result != 0 && errno == ENOMEM
        malloc_trim(0)
        if isOutOfMemory { throw Problem.unavailable }
        return result == 0 && hash != nil
    }

    /// Whether a hash was made with other figures than today's.
    public static func isOutdated(_ hash: String) -> Bool {
        crypto_pwhash_str_needs_rehash(hash, passes, memory) != 0
    }

    /// A salt and a hash that no password is known to have, with today's figures.
    private static let nobodys =
        "$argon2id$v=19$m=\(memory / 1_024),t=\(passes),p=1$\(String(repeating: "A", count: 22))$\(String(repeating: "A", count: 43))"
}

extension Problem {
    /// Passwords were wrong too often; the next can be tried in so many seconds.
    public static func loginTooSoon(seconds: Int) -> Problem {
        Problem(
            429, "login_too_soon", "Too many incorrect passwords. Try again in \(seconds) seconds.",
            headers: [("Retry-After", String(seconds))])
    }
}
