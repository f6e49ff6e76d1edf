import Common
import Foundation

/// A Postgres cluster of the tests' own: reached through a Unix socket only, gone when the tests end, however they end.
///
/// A shell stands between the tests and the server. It reads from a pipe that the tests hold; when they die, the pipe
/// ends, and it stops the server and removes the folder of all the tests.
public final class Postgres: @unchecked Sendable {
    /// The one that all tests share, with the template that they copy.
    public static func shared() throws -> Postgres { try sharedResult.get() }
    private static let sharedResult = Result {
        let postgres = try Postgres()
        try postgres.migrateTemplate()
        return postgres
    }

    private static let script = """
        set -euo pipefail
        . bin/lib/postgres.sh
        root=$1 folder=$2 primary=$3
        shift 3
        ended() { [[ $stopped ]] || rm -rf "$root"; }
        copy_cluster() {
            install -d -m 700 ${as_postgres:+-o postgres -g postgres} "$folder/data"
            (
                exec {data}<"$folder/data"
                cd /
                exec setpriv "${as_postgres[@]}" "$(postgres_bin)/pg_basebackup" -D "/proc/self/fd/$data" -h "$primary" -U postgres -R -c fast
            )
        }
        stopped=
        trap ended EXIT
        trap '' HUP INT TERM
        if [[ ! -d $folder/data ]]; then
            if [[ $primary ]]; then copy_cluster; else make_cluster "$folder/data"; fi >>"$folder/log" 2>&1
            install -d -m 700 ${as_postgres:+-o postgres -g postgres} "$folder/sockets"
        fi
        run_postgres "$folder/data" "$folder/sockets" max_connections=300 "$@" >>"$folder/log" 2>&1 </dev/null &
        pid=$!
        wait_for_postgres "$folder/sockets" "$pid"
        echo "ready $pid"
        read -r stopped || true
        kill -CONT "$pid" 2>/dev/null || true
        kill -QUIT "$pid" 2>/dev/null || true
        wait "$pid" || true
        """

    private let folder: String
    private let settings: [String]
    private let primary: Postgres?
    private let logs: Folder
    private var keeper: Executable?
    private var pipe: Int32 = -1
    /// The postmaster's process.
    public private(set) var pid: pid_t = 0
    private let counter = Counter()
    /// Those that migrating made.
    private var roles = ""

    /// - Parameters:
    ///   - isDurable: whether what is committed outlives a crash; slower.
    ///   - primary: the server of which this one is a standby (streaming replication); none unless given.
    ///   - settings: more of them, as `max_connections=20`.
    public init(isDurable: Bool = false, standbyOf primary: Postgres? = nil, _ settings: [String] = []) throws {
        self.primary = primary
        logs = try Folder()
        folder = logs.path + "/pg"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        chmod(folder, 0o711)
        self.settings =
            (isDurable ? ["shared_buffers=32MB"] : ["fsync=off", "synchronous_commit=off", "full_page_writes=off"])
            + settings
        try start()
    }

    deinit { stop() }

    /// Where libpq finds a database of this cluster.
    public func url(_ database: String = "postgres", as role: String = "postgres") -> String {
        "postgresql://\(role)@/\(database)?host=\(sockets)"
    }

    /// The folder of its socket.
    public var sockets: String { "\(folder)/sockets" }

    /// Starts the server, which has been stopped or killed; returns when it answers.
    public func start() throws {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw Executable.Failure("no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        pipe = ends[1]
        let keeper = try Executable(
            "/bin/bash",
            ["-c", "cd \"$0\" && \(Postgres.script)", projectFolder, Folder.root, folder, primary?.sockets ?? ""]
                + settings, input: ends[0],
            folder: logs.path, isBound: false)
        self.keeper = keeper
        try eventually("Postgres") {
            if !keeper.isRunning { throw Executable.Failure("Postgres ended: \(keeper.error) \(log)") }
            return keeper.output.contains("ready ")
        }
        pid = pid_t(keeper.output.split(separator: "\n").first?.dropFirst("ready ".count) ?? "") ?? 0
    }

    /// Ends the server at once, as a power cut would not: what was written is kept.
    public func stop() {
        guard pipe >= 0 else { return }
        _ = write(pipe, "stop\n", 5)
        close(pipe)
        pipe = -1
        _ = try? keeper?.wait(seconds: 30)
        keeper = nil
    }

    /// Ends the server when it has sent its standby all that was committed.
    public func shutDown() throws {
        kill(pid, SIGINT)
        try eventually("the end of Postgres") { kill(pid, 0) != 0 || isZombie(pid) }
        stop()
    }

    /// Sends a signal to the server's every process.
    public func signalAll(_ signal: Int32) {
        for process in [pid] + children() { kill(process, signal) }
    }

    /// Kills all of it with SIGKILL; `start` brings it back.
    public func crash() throws {
        let processes = [pid] + children()
        for process in processes { kill(process, SIGKILL) }
        try eventually("the death of Postgres") { processes.allSatisfy { kill($0, 0) != 0 || isZombie($0) } }
        stop()
    }

    private func children() -> [pid_t] {
        let path = "/proc/\(pid)/task/\(pid)/children"
        let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: " ").compactMap { pid_t($0) }
    }

    private func isZombie(_ pid: pid_t) -> Bool {
        let text = FileManager.default.contents(atPath: "/proc/\(pid)/stat").map { String(decoding: $0, as: UTF8.self) }
        return text?.contains(") Z ") ?? true
    }

    /// What the server wrote to its log.
    public var log: String {
        String(decoding: FileManager.default.contents(atPath: "\(folder)/log") ?? Data(), as: UTF8.self)
    }

    // MARK: Databases

    /// Makes the database that the others are copies of, with the schema as the worker brings it up. It belongs to a role that nobody
    /// logs in as.
    public func migrateTemplate() throws {
        try admin {
            try $0.script("create role app nologin")
            try $0.script("create database template_chat owner app")
        }
        let worker = try Executable(
            "cron-worker", ["--migrate"], environment: ["DATABASE_URL": url("template_chat")], folder: logs.path)
        guard try worker.wait() == .code(0) else {
            throw Executable.Failure("the migrations failed: \(worker.error)")
        }
        try admin {
            let names = try $0.rows(
                String.self, "select quote_ident(rolname) from pg_roles where rolname like 'chat-%'")
            roles = names.joined(separator: ", ")
        }
    }

    /// A database of a test's own: migrated, or empty.
    public func createDatabase(isEmpty: Bool = false) throws -> TestDatabase {
        let name = "test_\(counter.next())"
        try admin {
            if isEmpty {
                try $0.script("create database \(name) template template0")
            } else {
                try $0.script("create database \(name) owner app template template_chat")
                // Who may connect is not copied.
                try $0.script("revoke all on database \(name) from public")
                try $0.script("grant connect on database \(name) to \(roles)")
            }
        }
        return TestDatabase(postgres: self, name: name)
    }

    fileprivate func drop(_ name: String) {
        guard pipe >= 0 else { return }
        try? admin { try $0.script("drop database if exists \(name) with (force)") }
    }

    /// Does something as its superuser, to the database `postgres`.
    public func admin(_ body: (Database) throws -> Void) throws {
        let database = Database(
            url() + "&target_session_attrs=any", prepares: true, timeout: 60_000, connectTimeout: 60_000)
        try body(database)
    }
}

/// A database that is dropped when nothing holds it any more.
public final class TestDatabase: Sendable {
    public let postgres: Postgres
    public let name: String
    /// Where its superuser reaches it.
    public var url: String { url(as: "postgres") }

    fileprivate init(postgres: Postgres, name: String) {
        self.postgres = postgres
        self.name = name
    }

    deinit { postgres.drop(name) }

    /// Where this role reaches it.
    public func url(as role: String) -> String { postgres.url(name, as: role) }

    /// A connection of the caller's own; not for several threads.
    public func connect(timeout: Int = 30_000) -> Database {
        Database(url, prepares: true, timeout: timeout, connectTimeout: timeout)
    }
}

/// 1, 2, 3, …
public final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var last = 0
    public init() {}

    /// How many there have been.
    public var count: Int { lock.withLock { last } }

    public func next() -> Int {
        lock.withLock {
            last += 1
            return last
        }
    }
}
