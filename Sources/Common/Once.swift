/// A request that is carried out once, however often it is sent with the same `Idempotency-Key`: a `once` of the schema. For a day, a
/// repeat of it gets the first answer again.
///
/// The endpoint's function asks what came of it (`recall`) and keeps the answer (`keep_answer`) in the transaction of the work. Refusals
/// are not kept: the request may be sent again when its time has come.
///
/// It is not for several threads.
public struct Once: SQLValue, @unchecked Sendable {
    public let key: String
    private let endpoint: String
    private let hash: () -> String

    fileprivate init(key: String, endpoint: String, hash: @escaping () -> String) {
        (self.key, self.endpoint, self.hash) = (key, endpoint, hash)
    }

    public var sqlText: String { compositeLiteral([key, endpoint, hash()]) }
}

extension Request {
    /// How the caller's repeats of this request are known; nil where they send no `Idempotency-Key`, and 400 where theirs is none.
    /// - Parameters:
    ///   - endpoint: its name.
    ///   - path: the ids of its path.
    ///   - hash: of what is sent besides, where the handler reads the body; asked for at each call.
    public func once(_ endpoint: String, _ path: ID..., hash: (() -> String)? = nil) throws -> Once? {
        guard let key = header("IDEMPOTENCY_KEY") else { return nil }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw Problem.idempotencyKeyMalformed
        }
        let name = ([endpoint] + path.map(\.text)).joined(separator: " ")
        return Once(key: key, endpoint: name, hash: hash ?? { contentHash })
    }
}

extension Once? {
    /// What comes of work that asks somebody else between its calls, and so is no transaction: its steps must bear being done again.
    /// Meanwhile a transaction of a connection of its own holds the key, and keeps the answer at the end. A retry waits for it. It holds
    /// nothing else that anybody waits for, and is gone with this process.
    /// - Parameters:
    ///   - begin: the endpoint's function that holds the key (`hold_request`).
    ///   - end: the one that keeps the answer (`keep_held`).
    ///   - work: gives the answer's JSON.
    public func holding(
        _ begin: StaticString, _ end: StaticString, for caller: Caller, _ work: () throws -> String
    ) throws -> JSONAnswer {
        guard let once = self else { return JSONAnswer(verdict: nil, json: try work(), standing: nil) }
        let holder = Database()
        return try holder.transaction {
            let held: Held = try holder.call(begin, caller, once)
            if let json = held.json { return JSONAnswer(verdict: held.verdict, json: json, standing: nil) }
            let json = try work()
            let _: Done = try holder.call(end, caller, once, json)
            return JSONAnswer(verdict: nil, json: json, standing: nil)
        }
    }
}

private struct Held: Decodable {
    let verdict: String?
    /// The answer that was given the first time.
    let json: String?
}

extension Problem {
    static let idempotencyKeyMalformed = Problem(
        400, "idempotency_key_malformed", "Idempotency-Key must have 1 to 255 printable ASCII characters.")
    static let idempotencyMismatch = Problem(
        422, "idempotency_mismatch", "This Idempotency-Key has been used for another request.",
        fields: [.init("Idempotency-Key", "has been used for another request")])
    static let idempotencyRunning = Problem(
        409, "idempotency_running", "A request with this Idempotency-Key is being carried out; send it again.",
        headers: [("Retry-After", "1")])
}
