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

    /// Whether Postgres is away, read-only or too busy, so that the caller should retry (PostgreSQL, appendix A): class 08
    /// (connection), 25 (transaction state: 25006 is a read-only server), 40 (deadlock, conflict with recovery), 53 (resources),
    /// 57 (operator intervention: shutdown, start, timeout) and 58 (system), 55P03 (lock timeout); 42883, where another release's
    /// functions are applied.
    public var isTemporary: Bool {
        switch self {
        case .unavailable, .lost: true
        case .refused(let state, _, _): DatabaseError.isTemporary(state)
        case .mismatch: false
        }
    }

    /// Whether Postgres refused the statement, and nothing was done.
    public var isRefusal: Bool { if case .refused = self { true } else { false } }

    static func isTemporary(_ sqlState: String) -> Bool {
        ["08", "25", "40", "53", "57", "58"].contains(sqlState.prefix(2))
            || ["55P03", "42883"].contains(sqlState)
    }

    /// Whether Postgres refused the statement for a reason that lies in the connection, so that nothing was done and a new
    /// connection may do better: the server became read-only (25006), or a pooler left us in another client's failed transaction
    /// (25P02), without our prepared statement (26000) or with one of the same name (42P05); the result has another type since a
    /// migration (0A000).
    var isOfConnection: Bool {
        if case .refused(let state, _, _) = self {
            ["25006", "25P02", "26000", "42P05", "0A000"].contains(state)
        } else {
            false
        }
    }

    /// Whether that reason is that prepared statements are not where this client left them.
    var isOfPreparedStatement: Bool {
        if case .refused(let state, _, _) = self { ["26000", "42P05"].contains(state) } else { false }
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
