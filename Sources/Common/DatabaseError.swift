/// Why a statement gave no result.
public enum DatabaseError: Error {
    /// There is no connection and the statement did not run. Safe to try again.
    case unavailable(String)
    /// The connection was lost, or the time was up, after the statement was sent: it may have run.
    case lost(String)
    /// Postgres refused the statement: its SQLSTATE, the constraint's name if it was one, and its message for the log.
    case refused(sqlState: String, constraint: String?, message: String)
    /// A row does not have the shape that the program expects, or a value cannot be sent.
    case mismatch(String)

    /// The name of the violated constraint; rules are told apart by this name, never by the message.
    public var constraint: String? {
        if case .refused(_, let constraint, _) = self { constraint } else { nil }
    }

    /// Whether Postgres is away or too busy, so that the caller should come back: class 08 (connection), 53 (resources),
    /// 57P0x (shutting down, starting), 57014 (timeout), 40001 and 40P01 (serialization, deadlock).
    public var isTemporary: Bool {
        switch self {
        case .unavailable, .lost: true
        case .refused(let state, _, _):
            state.hasPrefix("08") || state.hasPrefix("53") || state.hasPrefix("57P0")
                || ["57014", "40001", "40P01"].contains(state)
        case .mismatch: false
        }
    }

    /// Whether the values themselves are what Postgres does not take, today or tomorrow: class 22 (data) and 23
    /// (constraints), and what this program did not even send.
    public var isOfValues: Bool {
        switch self {
        case .unavailable, .lost: false
        case .refused(let state, _, _): state.hasPrefix("22") || state.hasPrefix("23")
        case .mismatch: true
        }
    }
}
