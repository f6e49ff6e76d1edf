import CPQ
import Glibc

/// One connection to Postgres, opened when it is first needed and again after it was lost.
///
/// Statements are prepared once a connection and found again by their pieces. Nothing here is for use by several threads.
public final class Database {
    private let conninfo: String
    private let prepares: Bool
    private let timeout: Int
    private let connectTimeout: Int
    private var connection: OpaquePointer?
    /// Few, and found by looking at each: to hash the pieces takes longer.
    private var prepared: [Prepared] = []
    private var channels: Set<String> = []
    private var inTransaction = false
    /// Whether the server has said that it ends this connection.
    private var isEnding = false
    /// Monotonic milliseconds of the last result.
    private var lastUse = 0
    /// How the limit stands that a statement counted on since this was last taken, and whether it was one too many.
    private var standing: (Standing, isRefusal: Bool)?

    /// A plan made once for all values is right for our statements, and Postgres does not come to think so by itself (16 %
    /// of the time of an insert). All of them reach a few rows by their keys, out of tables that may hold millions: none
    /// may read a table whole because it was small when the plan was made. Nor are they worth compiling, which what is
    /// ruled out would seem to be by its cost.
    private static let planning = """
        set plan_cache_mode = force_generic_plan; set jit = off; set enable_seqscan = off; set enable_hashjoin = off;
        set enable_mergejoin = off
        """

    private struct Prepared {
        let name: String
        let pieces: [SQL.Piece]
        var columns: [String]?
    }

    /// - Parameters:
    ///   - conninfo: any form that libpq takes (its documentation, 34.1.1), several hosts included.
    ///   - prepares: whether statements are prepared; false behind a transaction pooler.
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
    }

    deinit { close() }

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
        try open()
        _ = try send { PQsendQuery(connection, text) }
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

    /// Ends the connection; the next statement opens another.
    public func close() {
        PQfinish(connection)
        connection = nil
        prepared = []
        channels = []
        isEnding = false
    }

    // MARK: Notifications

    /// The descriptor to wait on for notifications, while there is a connection.
    public var descriptor: Int32? { connection.map { PQsocket($0) } }

    /// Whether this connection hears `channel`: a new connection hears nothing.
    public func listens(to channel: String) -> Bool { channels.contains(channel) }

    /// Asks for notifications on `channel`, a name of lower-case letters.
    public func listen(to channel: String) throws {
        try script("listen \(channel)")
        channels.insert(channel)
    }

    /// Ends the notifications of all channels.
    public func unlisten() throws {
        if !channels.isEmpty { try script("unlisten *") }
        channels = []
    }

    /// The payloads that have come since the last call. A connection found dead is closed.
    public func notifications() -> [String] {
        guard let connection else { return [] }
        if PQconsumeInput(connection) == 0 {
            close()
            return []
        }
        var payloads: [String] = []
        while let notification = PQnotifies(connection) {
            payloads.append(String(cString: notification.pointee.extra))
            PQfreemem(notification)
        }
        return payloads
    }

    // MARK: Statements

    /// The result of a statement, as it came.
    func run(_ statement: SQL) throws -> Result {
        if statement.values.contains(where: { $0?.holdsNUL ?? false }) {
            throw DatabaseError.mismatch("a value holds NUL")
        }
        try open()
        guard prepares else {
            return try withParameters(statement.values) { count, values in
                try send {
                    PQsendQueryParams(connection, statement.text, count, nil, values, nil, nil, 0)
                }
            }
        }
        do {
            return try runPrepared(statement)
        } catch DatabaseError.refused("26000", _, _) where !inTransaction {
            // A pooler gave us another server connection: the statement did not run.
        } catch DatabaseError.refused("0A000", _, _) where !inTransaction {
            // A migration changed the type of the result: it did not run either.
        }
        close()
        try open()
        return try runPrepared(statement)
    }

    private func runPrepared(_ statement: SQL) throws -> Result {
        let known = prepared.firstIndex { $0.pieces == statement.pieces }
        let index = known ?? prepared.count
        if known == nil {
            let entry = Prepared(name: "s\(index)", pieces: statement.pieces, columns: nil)
            _ = try send { PQsendPrepare(connection, entry.name, statement.text, 0, nil) }
            prepared.append(entry)
        }
        let result = try withParameters(statement.values) { count, values in
            try send(columns: prepared[index].columns) {
                PQsendQueryPrepared(connection, prepared[index].name, count, values, nil, nil, 0)
            }
        }
        if prepared[index].columns == nil { prepared[index].columns = result.columns }
        return result
    }

    /// Sends one command and waits for its result until the time is up.
    private func send(columns: [String]? = nil, _ command: () -> Int32) throws -> Result {
        guard command() == 1 else { throw lost() }
        let deadline = monotonicMilliseconds() + timeout
        while true {
            let unsent = PQflush(connection)
            guard unsent >= 0 else { throw lost() }
            if unsent == 0, PQisBusy(connection) == 0 { break }
            guard wait(reading: true, writing: unsent > 0, until: deadline) else {
                cancel()
                close()
                throw DatabaseError.lost("no answer within \(timeout) ms")
            }
            guard PQconsumeInput(connection) == 1 else { throw lost() }
        }
        var last: Result?
        while let pointer = PQgetResult(connection) {
            if let last, last.hasFailed {
                PQclear(pointer)
            } else {
                last = Result(pointer: pointer, columns: columns)
            }
        }
        guard let last, PQstatus(connection) == CONNECTION_OK else {
            throw lost(last.flatMap { PQresultErrorMessage($0.pointer) })
        }
        lastUse = monotonicMilliseconds()
        if last.hasFailed { throw last.error }
        if let (standing, isRefusal) = standing, isRefusal { throw Problem.rateLimited(seconds: standing.seconds) }
        return last
    }

    /// How the limit stands that a request counted on, once.
    func takeStanding() -> Standing? {
        defer { standing = nil }
        return standing?.0
    }

    /// Hears what a statement says besides its rows.
    private func hear(_ notice: OpaquePointer?) {
        func field(_ code: Character) -> String {
            code.asciiValue.flatMap { PQresultErrorField(notice, Int32($0)) }.map { String(cString: $0) } ?? ""
        }
        // PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY: see may_request.
        let state = field("C")
        // Operator intervention: the server stops, its database is dropped, another of its processes crashed.
        if state.hasPrefix("57P") { isEnding = true }
        guard ["RL000", "RL001"].contains(state), let standing = Standing(notice: field("M")) else { return }
        self.standing = (standing, isRefusal: state == "RL001")
    }

    private func lost(_ message: UnsafeMutablePointer<CChar>? = nil) -> DatabaseError {
        let reason = String(cString: message ?? PQerrorMessage(connection))
        close()
        return .lost(reason)
    }

    /// Asks the server to stop what it is doing, so that a statement nobody waits for does not go on. On a thread of its
    /// own, for a server that does not answer may not answer this either, and PQcancel knows no time limit.
    private func cancel() {
        guard let connection, let request = PQgetCancel(connection) else { return }
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { request in
                var reason = [CChar](repeating: 0, count: 256)
                PQcancel(OpaquePointer(request), &reason, Int32(reason.count))
                PQfreeCancel(OpaquePointer(request))
                return nil
            }, UnsafeMutableRawPointer(request))
        if failure == 0 { pthread_detach(thread) } else { PQfreeCancel(request) }
    }

    // MARK: The connection

    private func open() throws {
        if connection != nil {
            if monotonicMilliseconds() - lastUse < 50, !isEnding { return }
            // An idle connection has nothing to say, unless it is ended or brings notifications.
            while connection != nil, !isEnding, wait(reading: true, writing: false, until: 0) {
                if PQconsumeInput(connection) == 0 { close() }
                // Has what came read: that it is ended is said before it is.
                _ = PQisBusy(connection)
            }
            if isEnding { close() }
            if connection != nil { return }
        }
        guard !inTransaction else { throw DatabaseError.lost("the connection was lost in a transaction") }
        connection = PQconnectStart(conninfo)
        guard connection != nil else { throw DatabaseError.unavailable("out of memory") }
        let deadline = monotonicMilliseconds() + connectTimeout
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            let failed = PQstatus(connection) == CONNECTION_BAD || state == PGRES_POLLING_FAILED
            let writing = state == PGRES_POLLING_WRITING
            guard !failed, wait(reading: !writing, writing: writing, until: deadline) else {
                let reason = failed ? String(cString: PQerrorMessage(connection)) : "no answer from the server"
                close()
                throw DatabaseError.unavailable(reason)
            }
            state = PQconnectPoll(connection)
        }
        PQsetnonblocking(connection, 1)
        PQsetNoticeReceiver(
            connection,
            { database, notice in
                guard let database else { return }
                Unmanaged<Database>.fromOpaque(database).takeUnretainedValue().hear(notice)
            }, Unmanaged.passUnretained(self).toOpaque())
        if prepares { _ = try send { PQsendQuery(connection, Database.planning) } }
    }

    /// Waits for the socket; false when `deadline` (monotonic milliseconds) has passed.
    private func wait(reading: Bool, writing: Bool, until deadline: Int) -> Bool {
        var events: Int32 = 0
        if reading { events |= POLLIN }
        if writing { events |= POLLOUT }
        var entry = pollfd(fd: PQsocket(connection), events: Int16(events), revents: 0)
        while true {
            let ready = poll(&entry, 1, Int32(max(0, deadline - monotonicMilliseconds())))
            if ready >= 0 || errno != EINTR { return ready > 0 }
        }
    }
}

extension String {
    /// Whether it cannot be a C string.
    fileprivate var holdsNUL: Bool {
        utf8.withContiguousStorageIfAvailable { bytes in
            bytes.baseAddress.map { memchr($0, 0, bytes.count) != nil } ?? false
        } ?? utf8.contains(0)
    }
}

/// Calls `body` with the values as libpq takes them: C strings, and null pointers for NULL.
private func withParameters<Value>(
    _ values: [String?], _ body: (Int32, UnsafePointer<UnsafePointer<CChar>?>?) throws -> Value
) rethrows -> Value {
    let size = values.reduce(0) { $0 + ($1?.utf8.count ?? 0) + 1 }
    return try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size) { bytes in
        try withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: values.count) { pointers in
            var rest = bytes[...]
            for (index, value) in values.enumerated() {
                pointers.initializeElement(
                    at: index,
                    to: value.flatMap { value in
                        let text = UnsafeMutableBufferPointer(rebasing: rest.prefix(value.utf8.count + 1))
                        _ = text.initialize(from: value.utf8)
                        text.initializeElement(at: text.count - 1, to: 0)
                        rest = rest.dropFirst(text.count)
                        return UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self)
                    })
            }
            return try body(Int32(values.count), pointers.baseAddress)
        }
    }
}
