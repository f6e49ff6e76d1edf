/// What limits a number whose account was deleted: kept under a keyed hash of the number, and nothing else of its owner with it.
public enum KeptLimits {
    /// Under which it may be kept: one for each key of `TOKEN_KEYS`, the signing one first, so that rotating keys renews no limit.
    public static func keys(of mobile: Mobile, keys: [TokenKey] = Settings.tokenKeys[.limit]) -> [String] {
        keys.map { "kept:" + Sodium.hmac(mobile.digits.utf8, key: $0.bytes).hex }
    }
}
