import Foundation

/// A program under test, in a process of its own that ends when the tests do, however they end.
public final class Executable: @unchecked Sendable {
    /// How a process ended.
    public enum Exit: Equatable, Sendable {
        case code(Int32)
        case signal(Int32)
    }

    /// What went wrong here and not in the program.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
        public init(_ description: String) { self.description = description }
    }

    /// Where the build put the tests, and with them the programs.
    public static let folder: String = {
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: path).deletingLastPathComponent().path
    }()

    public let pid: pid_t
    private let outputPath: String
    private let errorPath: String
    private let lock = NSLock()
    private var exit: Exit?

    /// Starts a program of this build, or one at an absolute path.
    /// - Parameters:
    ///   - environment: all of it but `PATH`.
    ///   - input: the descriptor that becomes its descriptor 0; `/dev/null` where there is none.
    ///   - folder: where its standard output and error go, to files named after it.
    ///   - isBound: whether it is killed when the tests die; false only for what sees to that itself.
    public init(
        _ name: String, _ arguments: [String] = [], environment: [String: String] = [:], input: Int32? = nil,
        folder: String, isBound: Bool = true
    ) throws {
        let path = name.hasPrefix("/") ? name : "\(Executable.folder)/\(name)"
        guard access(path, X_OK) == 0 else { throw Failure("there is no \(path); build first") }
        let place = "\(folder)/\(path.split(separator: "/").last ?? "").\(UUID().uuidString.prefix(8))"
        outputPath = place + ".out"
        errorPath = place + ".err"
        let bond = isBound ? ["/usr/bin/setpriv", "--pdeathsig", "KILL"] : []
        let settings = ["PATH": "/usr/local/bin:/usr/bin:/bin"].merging(environment) { $1 }
        pid = try Spawner.shared.spawn(
            bond + [path] + arguments, environment: settings, input: input, output: outputPath, error: errorPath)
    }

    deinit {
        kill()
        _ = try? wait(seconds: 10)
        unlink(outputPath)
        unlink(errorPath)
    }

    /// Standard output so far.
    public var output: String { Executable.text(outputPath) }
    /// Standard error so far.
    public var error: String { Executable.text(errorPath) }

    private static func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    /// Whether it has not ended.
    public var isRunning: Bool { status() == nil }

    public func terminate() { signal(SIGTERM) }
    public func kill() { signal(SIGKILL) }

    /// Sends a signal, unless it has ended.
    public func signal(_ number: Int32) {
        lock.withLock { if exit == nil { _ = Glibc.kill(pid, number) } }
    }

    /// Waits for its end.
    @discardableResult
    public func wait(seconds: Double = 90) throws -> Exit {
        var result: Exit?
        try eventually("the end of process \(pid)", within: seconds) {
            result = status()
            return result != nil
        }
        return result ?? .code(-1)
    }

    private func status() -> Exit? {
        lock.withLock {
            if exit == nil {
                var status: Int32 = 0
                if waitpid(pid, &status, WNOHANG) == pid {
                    exit = status & 0x7F == 0 ? .code(status >> 8 & 0xFF) : .signal(status & 0x7F)
                }
            }
            return exit
        }
    }
}

/// Starts all processes from one thread that lives as long as the tests do: the kernel ties a child's end to the thread
/// that started it.
private final class Spawner: @unchecked Sendable {
    static let shared = Spawner()
    private let jobs = DispatchSemaphore(value: 0)
    private let lock = NSLock()
    private var queue: [() -> Void] = []

    private init() {
        let thread = Thread { [unowned self] in
            while true {
                self.jobs.wait()
                let job = self.lock.withLock { self.queue.removeFirst() }
                job()
            }
        }
        thread.start()
    }

    func spawn(
        _ arguments: [String], environment: [String: String], input: Int32?, output: String, error: String
    ) throws -> pid_t {
        let done = DispatchSemaphore(value: 0)
        let result = Box<(Int32, pid_t)>((0, 0))
        lock.withLock {
            queue.append {
                result.value = start(arguments, environment, input: input, output: output, error: error)
                done.signal()
            }
        }
        jobs.signal()
        done.wait()
        guard result.value.0 == 0 else {
            throw Executable.Failure("cannot start \(arguments): \(String(cString: strerror(result.value.0)))")
        }
        return result.value.1
    }
}

/// A value that several threads hand on, one after the other.
final class Box<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}

private func start(
    _ arguments: [String], _ environment: [String: String], input: Int32?, output: String, error: String
) -> (Int32, pid_t) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
        posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    for (descriptor, path) in [(1 as Int32, output), (2, error)] {
        posix_spawn_file_actions_addopen(&actions, descriptor, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    }

    // No signal is blocked and none ignored, whatever this thread's mask is.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, arguments[0], &actions, &attributes, &argv, &envp)
    return (code, pid)
}
