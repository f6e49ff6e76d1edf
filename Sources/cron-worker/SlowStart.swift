import Common

/// Holds back a flood of calls until Gemini is seen to take them: of a thousand that are refused, all but the first few are a
/// waste, and may be what they are refused for.
///
/// For each call that is answered two more may begin, and where answers are slow twice as many in each second, until it is over.
struct SlowStart {
    private let first: Int
    private var since: Int?
    private var (begun, accepted) = (0, 0)

    private static let proof = 8

    /// - Parameter first: how many calls may begin before anything is known.
    init(first: Int) { self.first = first }

    /// How many calls may begin now.
    func room(_ now: Int) -> Int {
        if accepted >= SlowStart.proof { return .max }
        let seconds = min(20, (now - (since ?? now)) / 1_000)
        return max(0, max(first << seconds, first + 2 * accepted) - begun)
    }

    mutating func begin(_ now: Int) {
        since = since ?? now
        begun += 1
    }

    mutating func accept() { accepted += 1 }

    /// Others were answered lately.
    mutating func end() { accepted = SlowStart.proof }
}
