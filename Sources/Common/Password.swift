import CLinux
import CSodium

/// Hashes of passwords: argon2id with 19 MiB and two passes (OWASP, Password Storage Cheat Sheet).
public enum Password {
    private static let passes = UInt64(2)
    private static let memory = 19_456 * 1_024

    /// The hash with its salt and figures, in the form `$argon2id$v=19$m=19456,t=2,p=1$…`; about 45 ms.
    /// Throws `Problem.unavailable` where the memory cannot be had.
    public static func hash(_ password: String) throws -> String {
        Sodium.ready
        var text = [CChar](repeating: 0, count: Int(crypto_pwhash_strbytes()))
        guard
            crypto_pwhash_str_alg(
                &text, password, UInt64(password.utf8.count), passes, memory, crypto_pwhash_alg_argon2id13()) == 0
        else { throw Problem.unavailable }
        // The 19 MiB go back to the system, for an idle process is to be small.
        malloc_trim(0)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
