import ArgumentParser
import Synchronization

/// Misbehaviour that nobody asked for: some calls are treated as if one of these directives stood in their message. Which
/// calls and which directives depends on the seed and the call's number alone.
final class Faults: Sendable {
    private static let all = [
        "error code=429 retry=0.2s", "error code=429 retry=700ms", "error code=429 retry=1s", "error code=500",
        "error code=503", "drop", "hang ms=4000", "hang ms=4000 after=2", "reset", "truncate", "truncate end=clean",
        "garbage", "chunks n=12 ms=40", "fragment bytes=5", "stream-error shape=data", "stream-error shape=bare",
        "blocked", "safety", "continuation", "continuation hops=3",
    ]

    private let choice: Choice
    private let calls = Atomic(0)
    /// How often each was played.
    private let counts = Mutex([String: Int](uniqueKeysWithValues: all.map { ($0, 0) }))

    /// `SEED[:RATE]`: how often a call misbehaves, from 0 to 1.
    struct Choice: ExpressibleByArgument {
        let seed: Seed
        let rate: Double

        init?(argument: String) {
            let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, let seed = UInt64(parts[0]),
                let rate = parts.count == 2 ? Double(parts[1]) : 0.2, (0...1).contains(rate)
            else { return nil }
            self.seed = Seed(value: seed)
            self.rate = rate
        }
    }

    init(_ choice: Choice) {
        self.choice = choice
    }

    /// What befalls the next call, as it would stand in a message; nil: nothing.
    func next() -> String? {
        let number = calls.add(1, ordering: .relaxed).newValue
        let chance = Double(choice.seed.number(for: "whether \(number)")) / Double(UInt64.max)
        guard chance < choice.rate else { return nil }
        let fault = Self.all[Int(choice.seed.number(for: "which \(number)") % UInt64(Self.all.count))]
        counts.withLock { $0[fault, default: 0] += 1 }
        return "[sandbox:\(fault)]"
    }

    /// How often each was played so far.
    var played: [String: Int] { counts.withLock(\.self) }
}
