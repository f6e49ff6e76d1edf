import Synchronization

/// The answers to POSTs by their keys: the first one that was executed is given again, a 500 as well, to whoever asks the same.
/// Source: https://docs.stripe.com/api/idempotent_requests
final class Idempotency: Sendable {
    struct Answer: Sendable {
        let status: Int
        let body: [UInt8]
    }

    private struct Entry {
        let request: String
        /// Nil while it is under way.
        var answer: Answer?
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// Begins with a request under a key; the answer where there is one already.
    func begin(_ key: String, _ request: String) throws -> Answer? {
        try entries.withLock { entries in
            guard let entry = entries[key] else {
                entries[key] = Entry(request: request)
                return nil
            }
            guard entry.request == request else {
                throw StripeFault(
                    status: 400, type: "idempotency_error",
                    message:
                        "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
            }
            guard let answer = entry.answer else {
                throw StripeFault(
                    status: 409, type: "idempotency_error", code: "idempotency_key_in_use",
                    message: "There is currently another in-progress request using this Idempotent Key.")
            }
            return answer
        }
    }

    /// Keeps the answer, or forgets the key where nothing was executed.
    func end(_ key: String, _ answer: Answer?) {
        entries.withLock { entries in
            if let answer { entries[key]?.answer = answer } else { entries[key] = nil }
        }
    }
}
