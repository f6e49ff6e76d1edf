import CPQ
import Glibc

/// One connection of libpq's, and what is gone with it: the statements that are prepared on it, the channels that it hears.
final class DatabaseConnection {
    private let pointer: OpaquePointer
    /// Milliseconds after which what was sent is given up.
    private let timeout: Int
    /// Few, and found by looking at each: to hash the pieces takes longer.
    private var prepared: [Prepared] = []
    var channels: Set<String> = []
    /// Counts this connection among those of all processes.
    var slot: ConnectionSlot?
    /// Whether a pooler stands between: what is set for the session, or listened to, would reach other clients.
    private(set) var isPooled = false
    /// Whether it is of no more use.
    private(set) var isLost = false
    /// Whether the server has said that it ends it.
    private var isEnding = false
    /// Whether only a server will do that takes writes (`target_session_attrs`).
    private let isWriting: Bool
    /// Monotonic milliseconds of the last result.
    private var lastUse = 0

    /// A plan made once for all values is right for our statements, and Postgres does not come to think so by itself (16 %
    /// of the time of an insert). All of them reach a few rows by their keys, out of tables that may hold millions: none
    /// may read a table whole because it was small when the plan was made. Nor are they worth compiling, which what is
    /// ruled out would seem to be by its cost.
    ///
    /// A pooler's clients know another process than that which works for them.
    private func setUp(until deadline: Int) throws {
        let set = try send(until: deadline) {
            PQsendQuery(
                pointer,
                """
                select set_config(name, value, false) from (values
                    ('plan_cache_mode', 'force_generic_plan'), ('jit', 'off'), ('enable_seqscan', 'off'),
                    ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off')) as planning (name, value)
                where pg_backend_pid() = \(PQbackendPID(pointer))
                """)
        }
        isPooled = set.count == 0
    }

    private struct Prepared {
        let name: String
        let pieces: [SQL.Piece]
        var columns: [String]?
    }

    /// Connects with libpq's `options`, until `deadline` (monotonic milliseconds). Where statements are not prepared, a pooler may
    /// stand between, and nothing is set for the session.
    init(_ options: [String: String], prepares: Bool, timeout: Int, until deadline: Int) throws {
        let (keywords, values) = (options.keys.map { strdup($0) }, options.values.map { strdup($0) })
        defer { for text in keywords + values { free(text) } }
        let started = PQconnectStartParams(
            keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 0)
        guard let started else { throw DatabaseError.unavailable("out of memory") }
        pointer = started
        self.timeout = timeout
        isWriting = options["target_session_attrs"] == "read-write"
        // With the SQLSTATE of a refusal.
        PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            let failed = PQstatus(pointer) == CONNECTION_BAD || state == PGRES_POLLING_FAILED
            let writing = state == PGRES_POLLING_WRITING
            guard !failed, wait(reading: !writing, writing: writing, until: deadline) else {
                let reason = failed ? String(cString: PQerrorMessage(pointer)) : "no answer from the server"
                throw DatabaseError.unavailable(reason)
            }
            state = PQconnectPoll(pointer)
        }
        PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT)
        PQsetnonblocking(pointer, 1)
        PQsetNoticeReceiver(
            pointer,
            { connection, notice in
                guard let connection else { return }
                Unmanaged<DatabaseConnection>.fromOpaque(connection).takeUnretainedValue().hear(notice)
            }, Unmanaged.passUnretained(self).toOpaque())
        do {
            if prepares { try setUp(until: deadline) }
        } catch let error as DatabaseError {
            throw DatabaseError.unavailable("\(error)")
        }
        lastUse = monotonicMilliseconds()
    }

    deinit { PQfinish(pointer) }

    /// Whether it can be used, as far as can be known: what is idle may have been ended.
    var isUsable: Bool {
        if monotonicMilliseconds() - lastUse < 50 { return !isLost && !isEnding }
        // An idle connection has nothing to say, unless it is ended or brings notifications.
        while !isLost, !isEnding, wait(reading: true, writing: false, until: 0) {
            isLost = PQconsumeInput(pointer) == 0
            // Has what came read: that it is ended is said before it is.
            _ = PQisBusy(pointer)
        }
        return !isLost && !isEnding
    }

    // MARK: Statements

    /// Runs several commands that take no parameters and return nothing.
    func script(_ text: String) throws { _ = try send { PQsendQuery(pointer, text) } }

    /// Runs a statement that is not kept.
    func run(_ statement: SQL) throws -> Result {
        try withParameters(statement.values) { count, values in
            try send { PQsendQueryParams(pointer, statement.text, count, nil, values, nil, nil, 0) }
        }
    }

    /// Runs a statement, which is prepared the first time.
    func runPrepared(_ statement: SQL) throws -> Result {
        let index = try prepare(statement)
        return try withParameters(statement.values) { count, values in
            try send(index) { PQsendQueryPrepared(pointer, prepared[index].name, count, values, nil, nil, 0) }
        }
    }

    /// Runs several statements in one round trip and one transaction (libpq's pipeline mode); nil where one of them failed, and
    /// so nothing was done.
    func runInPipeline(_ statements: [SQL]) throws -> [Result]? {
        let indices = try statements.map(prepare)
        guard PQenterPipelineMode(pointer) == 1 else { throw lost() }
        for (statement, index) in zip(statements, indices) {
            let isSent = withParameters(statement.values) { count, values in
                PQsendQueryPrepared(pointer, prepared[index].name, count, values, nil, nil, 0)
            }
            guard isSent == 1 else { throw lost() }
        }
        guard PQpipelineSync(pointer) == 1 else { throw lost() }

        let deadline = monotonicMilliseconds() + timeout
        var results: [Result]? = []
        for index in indices {
            let result = try receive(index, until: deadline)
            if result.hasFailed {
                results = nil
                isLost = isLost || result.error.isOfConnection
            }
            results?.append(result)
            // The mark between the results of two statements.
            PQgetResult(pointer).map { PQclear($0) }
        }
        // What cannot be committed fails now.
        while PQresultStatus(try receive(until: deadline).pointer) != PGRES_PIPELINE_SYNC {
            results = nil
            PQgetResult(pointer).map { PQclear($0) }
        }
        guard PQexitPipelineMode(pointer) == 1 else { throw lost() }
        lastUse = monotonicMilliseconds()
        return results
    }

    /// The number of a statement among the prepared.
    private func prepare(_ statement: SQL) throws -> Int {
        if let known = prepared.firstIndex(where: { $0.pieces == statement.pieces }) { return known }
        // Named after its text: behind a pooler that hands the server's connections round, it is never another one's statement.
        let name = Sodium.base64url(Sodium.sha256(Array(statement.text.utf8)))
        if !prepared.contains(where: { $0.name == name }) {
            _ = try send { PQsendPrepare(pointer, name, statement.text, 0, nil) }
        }
        prepared.append(Prepared(name: name, pieces: statement.pieces, columns: nil))
        return prepared.count - 1
    }

    /// Sends one command and waits for its result until the time is up.
    private func send(_ index: Int? = nil, until deadline: Int? = nil, _ command: () -> Int32) throws -> Result {
        guard command() == 1 else { throw lost() }
        var last = try receive(index, until: deadline ?? monotonicMilliseconds() + timeout)
        // Of a script the failure counts, else the last result.
        while let next = PQgetResult(pointer) {
            let next = Result(pointer: next, columns: nil)
            if !last.hasFailed { last = next }
        }
        guard PQstatus(pointer) == CONNECTION_OK else { throw lost(PQresultErrorMessage(last.pointer)) }
        lastUse = monotonicMilliseconds()
        if last.hasFailed {
            let error = last.error
            isLost = error.isOfConnection
            throw error
        }
        return last
    }

    /// The next result of what was sent, of the prepared statement of this number.
    private func receive(_ index: Int? = nil, until deadline: Int) throws -> Result {
        while true {
            let unsent = PQflush(pointer)
            guard unsent >= 0 else { throw lost() }
            if unsent == 0, PQisBusy(pointer) == 0 { break }
            guard wait(reading: true, writing: unsent > 0, until: deadline) else {
                cancel()
                isLost = true
                throw DatabaseError.lost("no answer within \(timeout) ms")
            }
            guard PQconsumeInput(pointer) == 1 else { throw lost() }
        }
        guard let next = PQgetResult(pointer) else { throw lost() }
        let result = Result(pointer: next, columns: index.flatMap { prepared[$0].columns })
        if let index, prepared[index].columns == nil, !result.hasFailed { prepared[index].columns = result.columns }
        return result
    }

    private func lost(_ message: UnsafeMutablePointer<CChar>? = nil) -> DatabaseError {
        isLost = true
        return .lost(String(cString: message ?? PQerrorMessage(pointer)))
    }

    /// Asks the server to stop what it is doing, so that a statement nobody waits for does not go on. On a thread of its
    /// own, for a server that does not answer may not answer this either, and PQcancel knows no time limit.
    private func cancel() {
        guard let request = PQgetCancel(pointer) else { return }
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

    // MARK: What comes besides

    /// The descriptor to wait on for notifications.
    var descriptor: Int32 { PQsocket(pointer) }

    /// What has come since the last call.
    func notifications() -> [Notification] {
        isLost = PQconsumeInput(pointer) == 0
        var notifications: [Notification] = []
        while let came = PQnotifies(pointer) {
            notifications.append(
                Notification(
                    channel: String(cString: came.pointee.relname), payload: String(cString: came.pointee.extra)))
            PQfreemem(came)
        }
        return notifications
    }

    /// Whether the server has said since that its transactions are read-only now (`GUC_REPORT`, from Postgres 14 on).
    var isReadOnly: Bool {
        guard isWriting, let value = PQparameterStatus(pointer, "default_transaction_read_only") else { return false }
        return strcmp(value, "on") == 0
    }

    /// Hears what a statement says besides its rows.
    private func hear(_ notice: OpaquePointer?) {
        func field(_ code: Character) -> String {
            code.asciiValue.flatMap { PQresultErrorField(notice, Int32($0)) }.map { String(cString: $0) } ?? ""
        }
        let state = field("C")  // PG_DIAG_SQLSTATE
        // Operator intervention: the server stops, its database is dropped, another of its processes crashed. Whatever else
        // ends the connection, of the server's or a pooler's, is FATAL.
        if state.hasPrefix("57P") || field("S") == "FATAL" || field("V") == "FATAL" { isEnding = true }
    }

    /// Waits for the socket; false when `deadline` (monotonic milliseconds) has passed.
    private func wait(reading: Bool, writing: Bool, until deadline: Int) -> Bool {
        var events: Int32 = 0
        if reading { events |= POLLIN }
        if writing { events |= POLLOUT }
        var entry = pollfd(fd: PQsocket(pointer), events: Int16(events), revents: 0)
        while true {
            let ready = poll(&entry, 1, Int32(max(0, deadline - monotonicMilliseconds())))
            if ready >= 0 || errno != EINTR { return ready > 0 }
        }
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
