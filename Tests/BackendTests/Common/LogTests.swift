import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct LogTests {
    @Test
    func `Of a flood of the same notice ten a second are written, and the next counts the rest`() throws {
        let backend = try Backend([
            "LOG_LEVEL": "notice", "STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRETS": "whsec_1",
        ])
        func lines() throws -> [JSONValue] {
            try backend.endpoint("stripe-webhook").processes[0].error.split(separator: "\n")
                .compactMap { JSONValue(Array($0.utf8)) }
        }
        let took = try seconds {
            for _ in 0..<300 { expectProblem(try backend.call("stripe-webhook", body: [:]), 400, "signature_invalid") }
        }
        let written = try lines().count
        #expect(written <= 10 * (Int(took) + 2) && written >= 10, "\(written) lines in \(took) s")
        usleep(1_100_000)
        _ = try backend.call("stripe-webhook", body: [:])
        let leftOut = try lines().compactMap { $0["left_out"].number }.reduce(0, +)
        #expect(try lines().count + Int(leftOut) == 301)
    }
}
