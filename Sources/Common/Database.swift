import CPQ
import Glibc

/// One connection to Postgres, opened when it is first needed and again after it was lost.
///
/// Nothing here is for use by several threads.
public final class Database {
    private let conninfo: String
    /// Nil until the first connection.
    private var hosts: DatabaseHosts?
    private var prepares: Bool
    private let timeout: Int
    private let connectTimeout: Int
    private var connection: DatabaseConnection?
    /// Monotonic milliseconds at which another process got the slot of the connection.
    private var yielded = 0
    /// Whether a pooler stands between, as far as the last connection showed.
    private var isPooled = false
    private var inTransaction = false

    /// - Parameters:
    ///   - conninfo: any form that libpq takes (its documentation, 34.1.1), several hosts included.
    ///   - prepares: whether statements are prepared; false behind a pooler that does not keep them.
    ///   - timeout: milliseconds after which a statement is given up.
    ///   - connectTimeout: milliseconds after which a new connection is, where that is less.
    public init(
        _ conninfo: String = Settings.databaseURL, prepares: Bool = Settings.preparedStatements,
        timeout: Int = Settings.statementTimeout, connectTimeout: Int = Settings.connectTimeout
    ) {
        self.conninfo = conninfo
        self.prepares = prepares
        self.timeout = timeout
        self.connectTimeout = min(timeout, connectTimeout)
        // Sent as start-up parameters that poolers know, so that times are written in one way.
        setenv("PGTZ", "UTC", 1)
        setenv("PGDATESTYLE", "ISO", 1)
        setenv("PGCLIENTENCODING", "UTF8", 1)
        // A server that is read-only, as after a failover, is of no use, unless the operator says so.
        setenv("PGTARGETSESSIONATTRS", "read-write", 0)
    }

    /// All rows of a statement.
    public func rows<Row: Decodable>(_ type: Row.Type = Row.self, _ statement: SQL) throws -> [Row] {
        let result = try run(statement)
        return try (0..<result.count).map { try Row(from: RowDecoder(result: result, row: $0)) }
    }

    /// The first row of a statement, if it has one.
    public func row<Row: Decodable>(_ type: Row.Type = Row.self, _ statement: SQL) throws -> Row? {
        let result = try run(statement)
        return result.count == 0 ? nil : try Row(from: RowDecoder(result: result, row: 0))
    }

    /// Runs a statement for its effect; how many rows it touched.
    @discardableResult
    public func execute(_ statement: SQL) throws -> Int {
        let result = try run(statement)
        return PQcmdTuples(result.pointer).flatMap { Int(String(cString: $0)) } ?? 0
    }

    /// Runs several commands that take no parameters and return nothing, such as a migration's file.
    public func script(_ text: String) throws {
        try use { try $0.script(text) }
    }

    /// Commits what `body` did, or undoes all of it if it throws.
    public func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try execute("begin")
        inTransaction = true
        defer { inTransaction = false }
        do {
            let value = try body()
            try execute("commit")
            return value
        } catch {
            // A connection that cannot roll back is of no more use.
            do { try execute("rollback") } catch { close() }
            throw error
        }
    }

    /// The same for what only reads: all that `body` reads is of one moment.
    public func snapshot<Value>(_ body: () throws -> Value) throws -> Value {
        try transaction {
            try execute("set transaction isolation level repeatable read, read only")
            return try body()
        }
    }

    /// Ends the connection; the next statement opens another.
    public func close() { connection = nil }

    /// Ends the connection because another process asked for its slot, and leaves that to it for a moment.
    func yield() {
        close()
        yielded = monotonicMilliseconds()
    }

    // MARK: Notifications

    /// The descriptor to wait on for notifications, while there is a connection.
    public var descriptor: Int32? { connection?.descriptor }

    /// Whether this connection hears `channel`: a new connection hears nothing.
    public func listens(to channel: String) -> Bool { connection?.channels.contains(channel) ?? false }

    /// Asks for notifications on `channel`, a name of lower-case letters. False behind a pooler, where they would come to other
    /// clients: whoever waits has to look.
    @discardableResult
    public func listen(to channel: String) throws -> Bool {
        guard prepares else { return false }
        return try use { connection in
            guard !connection.isPooled else { return false }
            try connection.script("listen \(channel)")
            connection.channels.insert(channel)
            return true
        }
    }

    /// Ends the notifications of all channels.
    public func unlisten() throws {
        guard let connection, !connection.channels.isEmpty else { return }
        try script("unlisten *")
        self.connection?.channels = []
    }

    /// What has come since the last call, on whatever channel. A connection found dead is closed.
    public func notifications() -> [Notification] {
        let notifications = connection?.notifications() ?? []
        if connection?.isLost == true { close() }
        return notifications
    }

    // MARK: Statements

    /// The result of a statement, as it came.
    func run(_ statement: SQL) throws -> Result {
        guard !statement.holdsNUL else { throw DatabaseError.mismatch("a value holds NUL") }
        return try retrying { try prepares ? $0.runPrepared(statement) : $0.run(statement) }
    }

    /// Does something, and again on a new connection where nothing was done because of the old one.
    private func retrying<Value>(_ body: (DatabaseConnection) throws -> Value) throws -> Value {
        do {
            return try use(body)
        } catch let error as DatabaseError where error.isOfConnection {
            if prepares, isPooled, error.isOfPreparedStatement {
                Log.error("the pooler keeps no prepared statements: PREPARED_STATEMENTS should be off")
                prepares = false
            }
            if inTransaction { throw DatabaseError.lost("\(error)") }
        }
        return try use(body)
    }

    /// What comes of calls that only read, in one round trip; nil stands for one that has to be run by itself.
    func results(of calls: [Call]) -> [Swift.Result<Result, any Error>?] {
        let statements = calls.map(\.statement)
        guard prepares, calls.count > 1, !statements.contains(where: \.holdsNUL) else { return calls.map { _ in nil } }
        do {
            // Where one fails, each is asked by itself.
            guard let results = try use({ try $0.runInPipeline(statements) }) else { return calls.map { _ in nil } }
            return results.map { .success($0) }
        } catch let error as DatabaseError where error.isOfConnection {
            return calls.map { _ in nil }
        } catch DatabaseError.refused(let state, _, _) where !DatabaseError.isTemporary(state) {
            // One could not be prepared.
            return calls.map { _ in nil }
        } catch {
            // All are told so after one attempt.
            return calls.map { _ in .failure(error) }
        }
    }

    /// What `body` does with the connection, which is opened where there is none that is any good.
    private func use<Value>(_ body: (DatabaseConnection) throws -> Value) throws -> Value {
        if let connection, !connection.isUsable { close() }
        guard connection != nil || !inTransaction else {
            throw DatabaseError.lost("the connection was lost in a transaction")
        }
        let connection = try self.connection ?? connect()
        self.connection = connection
        defer {
            if connection.isLost || connection.isReadOnly && !inTransaction { close() }
        }
        return try body(connection)
    }

    private func connect() throws -> DatabaseConnection {
        let deadline = monotonicMilliseconds() + connectTimeout
        if ConnectionSlot.requests != nil, monotonicMilliseconds() - yielded < 10 { usleep(10_000) }
        while true {
            let slot = ConnectionSlot.requests == nil ? nil : try ConnectionSlot(until: deadline)
            do {
                var hosts = try self.hosts ?? DatabaseHosts(conninfo)
                defer { self.hosts = hosts }
                let connection = try hosts.connect(until: deadline) { server, share in
                    try DatabaseConnection(server, prepares: prepares, timeout: timeout, until: share)
                }
                connection.slot = slot
                isPooled = connection.isPooled
                return connection
            } catch DatabaseError.unavailable(let reason)
                where slot != nil && reason.contains("53300") && monotonicMilliseconds() + 50 < deadline
            {
                // Postgres is not rid of a connection yet whose slot is free again.
                usleep(50_000)
            }
        }
    }
}

/// What Postgres told whoever listens to a channel.
public struct Notification: Sendable {
    public let channel: String
    public let payload: String
}

extension SQL {
    /// Whether a value cannot be a C string.
    fileprivate var holdsNUL: Bool {
        values.contains { value in
            value?.utf8.withContiguousStorageIfAvailable { bytes in
                bytes.baseAddress.map { memchr($0, 0, bytes.count) != nil } ?? false
            } ?? value?.utf8.contains(0) ?? false
        }
    }
}
