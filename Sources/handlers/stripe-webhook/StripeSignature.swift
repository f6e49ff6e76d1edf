import Common
import Glibc

/// The header `Stripe-Signature`: `t=SECONDS,v1=HEX`, where several v1 may stand while a secret is exchanged, and other schemes.
/// Signed with HMAC-SHA256 is `SECONDS.BODY`, the body byte for byte. Source: https://docs.stripe.com/webhooks/signature
struct StripeSignature {
    /// Seconds that a signature is good for, and that the clocks may differ by.
    private static let tolerance = 300

    private let time: Int?
    private let signatures: [[UInt8]]

    init(_ header: String) {
        let header = header.utf8.allSatisfy { $0 < 0x80 } ? header : ""
        let parts = header.split(separator: ",").map { $0.split(separator: "=", maxSplits: 1) }.filter { $0.count == 2 }
        time = parts.first { $0[0] == "t" }.flatMap { Int($0[1]) }
        signatures = parts.filter { $0[0] == "v1" }.map { Array($0[1].utf8) }
    }

    /// Whether one of the secrets signed the body lately. Each is compared with each in a time that tells nothing.
    func holds(for body: [UInt8], secrets: [[UInt8]]) -> Bool {
        let now = Glibc.time(nil)
        guard let time, (now - Self.tolerance...now + Self.tolerance).contains(time) else { return false }
        let signed = Array("\(time).".utf8) + body
        return secrets.reduce(false) { found, secret in
            let right = Array(Sodium.hmac(signed, key: secret).hex.utf8)
            return signatures.reduce(found) { Sodium.equal($1, right) || $0 }
        }
    }
}
