/// A request that is carried out once, however often it is sent with the same `Idempotency-Key`: for a day, a repeat of it gets
/// the first answer again.
///
///     let once = try request.once(caller, "create-chatroom")
///     return try once.answer(from: database) {
///         try database.row(Made.self, """
///             with caller as (\(caller.live) and \(once.isFirst)), made as (insert … returning *),
///             kept as (\(once.keep("select user_id, to_json(…) from made")))
///             select … from made
///             """)
///     } as: { made in .json(…) }
///
/// What is kept is in the transaction of the work; where the work cannot be one, see `holding`. Refusals are not kept: the request
/// may be sent again when its time has come. Without the header all of this is nothing.
public struct Once {
    private let caller: Caller
    private let key: String?
    private let endpoint: String
    private let hash: () -> String
    private let lifetime: SQL

    fileprivate init(caller: Caller, key: String?, endpoint: String, hash: @escaping () -> String, lifetime: SQL) {
        (self.caller, self.key, self.endpoint, self.hash, self.lifetime) = (caller, key, endpoint, hash, lifetime)
    }

    /// What this request has in common with its repeats, and with no other.
    var identity: String? { key.map { "\(caller.user) \($0)" } }

    /// A condition on the caller: that nothing has come of this request yet. Whoever repeats it while it is being carried out
    /// waits here.
    public var isFirst: SQL {
        guard let key else { return "true" }
        return "is_first(user_id, \(key))"
    }

    /// `isFirst` of the caller `c` of the row `n`, where a statement does the work of several (`SQL`).
    public var isFirstOfEach: SQL {
        guard let key else { return "true" }
        return "is_first(c.user_id, (\(each: key)::text[])[n.number])"
    }

    /// Keeps what came of it, as a part of the statement that does the work.
    /// - Parameter rows: selects the user's id and a JSON value that the answer can be made of again; no row where the request
    ///   was refused.
    public func keep(_ rows: SQL) -> SQL {
        guard let key else { return "select" }
        return Once.keep("\(key), \(endpoint), \(hash())", lifetime, "(\(rows)) o (user_id, answer)")
    }

    /// The same where a statement does the work of several; `rows` tells the number of each too.
    public func keepEach(_ rows: SQL) -> SQL {
        guard let key else { return "select" }
        let request: SQL = """
            (\(each: key)::text[])[o.number], (\(each: endpoint)::text[])[o.number], (\(each: hash())::text[])[o.number]
            """
        return Once.keep(request, lifetime, "(\(rows)) o (user_id, answer, number)")
    }

    private static func keep(_ request: SQL, _ lifetime: SQL, _ rows: SQL) -> SQL {
        // What is there already is over.
        """
        insert into idempotency_keys as k (user_id, key, endpoint, body_hash, answer, expires_at)
        select o.user_id, \(request), o.answer, now() + \(lifetime) from \(rows)
        on conflict (user_id, key) do update set endpoint = excluded.endpoint, body_hash = excluded.body_hash,
            answer = excluded.answer, expires_at = excluded.expires_at
        """
    }

    /// What comes of work that asks somebody else between its statements, and so is no transaction: its steps must bear being done
    /// again. Meanwhile the key is held by a transaction of a connection of its own, which keeps the answer in the end. It holds
    /// nothing else that anybody waits for, and is gone with this process.
    public func holding(_ work: () throws -> String) throws -> String {
        guard key != nil else { return try work() }
        let holder = Database()
        return try holder.transaction {
            let mayBegin = try holder.row(
                Bool.self, "with caller as (\(caller.untouched)) select \(isFirst) from caller")
            guard mayBegin ?? false else { throw Problem.sessionEnded }
            let answer = try work()
            // Nothing is kept for an account that is being deleted.
            let owner: SQL =
                "select u.id from (\(caller.untouched)) c join users u on u.id = c.user_id for key share of u"
            try holder.execute(keep("select o.id, to_json(\(answer)::text) from (\(owner)) o"))
            return answer
        }
    }

    /// The answer, made of what the work gives, or of what it gave the first time. The work does nothing where `isFirst` does
    /// not hold, and throws a problem, as it does where there is no caller.
    public func answer<Value: Decodable>(
        from database: Database, _ work: () throws -> Value, as response: (Value) throws -> Response
    ) throws -> Response {
        do {
            return try response(try work())
        } catch let problem as Problem where key != nil {
            guard let kept = try kept(database) else { throw problem }
            guard kept.isSame else { throw Problem.idempotencyMismatch }
            var response = try response(try JSON.decode(Value.self, Array(kept.answer.utf8)))
            response.headers.append(("Idempotent-Replay", "true"))
            return response
        } catch DatabaseError.refused("55P03", _, _) where key != nil {
            throw Problem.idempotencyRunning
        }
    }

    private struct Kept: Decodable {
        let isSame: Bool
        let answer: String

        enum CodingKeys: String, CodingKey {
            case answer
            case isSame = "is_same"
        }
    }

    private func kept(_ database: Database) throws -> Kept? {
        try database.row(
            Kept.self,
            """
            with caller as (\(caller.live))
            select k.endpoint = \(endpoint) and k.body_hash = \(hash()) as is_same, k.answer
            from caller join idempotency_keys k
                on k.user_id = caller.user_id and k.key = \(key) and k.expires_at > now()
            """)
    }
}

extension Request {
    /// How the caller's repeats of this request are known; 400 where their `Idempotency-Key` is none.
    /// - Parameters:
    ///   - endpoint: its name.
    ///   - path: the ids of its path.
    ///   - hash: of what is sent besides, where the handler reads the body; asked for when that is done.
    ///   - lifetime: an interval, for which the answer is of use to whoever repeats it; a day at most.
    public func once(
        _ caller: Caller, _ endpoint: String, _ path: ID..., hash: (() -> String)? = nil,
        lifetime: SQL = "interval '1 day'"
    ) throws -> Once {
        let hash = hash ?? { contentHash }
        guard let key = header("IDEMPOTENCY_KEY") else {
            return Once(caller: caller, key: nil, endpoint: endpoint, hash: hash, lifetime: lifetime)
        }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw Problem.idempotencyKeyMalformed
        }
        return Once(
            caller: caller, key: key, endpoint: ([endpoint] + path.map(\.text)).joined(separator: " "),
            hash: hash, lifetime: lifetime)
    }
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
