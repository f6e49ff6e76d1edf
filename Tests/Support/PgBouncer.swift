import Foundation

/// A PgBouncer of a test's own before a Postgres, by transaction.
public final class PgBouncer: Sendable {
    /// Debian's, and a newer one where `bench/pgbouncer` has built it: the first version that keeps prepared statements is 1.21.
    public static let programs: [String] = ["/usr/sbin/pgbouncer", "\(projectFolder)/.local/pgbouncer"]
        .filter { (program: String) in access(program, X_OK) == 0 }

    private let folder: Folder
    private let process: Executable

    /// - Parameter settings: more of them, as `max_client_conn=20`.
    public init(_ program: String, before postgres: Postgres, _ settings: [String] = []) throws {
        folder = try Folder()
        let sockets = folder.path + "/s"
        // It refuses root, and so becomes the account that may enter the folder of Postgres' socket.
        let account = getuid() == 0 ? ["user = postgres"] : []
        try FileManager.default.createDirectory(atPath: sockets, withIntermediateDirectories: false)
        if let entry = getpwnam("postgres"), getuid() == 0 {
            chown(sockets, entry.pointee.pw_uid, entry.pointee.pw_gid)
        }
        let lines =
            [
                "[databases]", "* = host=\(postgres.sockets) port=5432 user=postgres", "[pgbouncer]",
                "pool_mode = transaction",
                "auth_type = any", "listen_port = 5432", "unix_socket_dir = \(sockets)", "default_pool_size = 5",
                "max_client_conn = 200", "stats_users = postgres", "admin_users = postgres",
            ] + account + settings
        try lines.map { $0 + "\n" }.joined().write(
            toFile: folder.path + "/ini", atomically: true, encoding: .utf8)
        chmod(folder.path + "/ini", 0o644)
        process = try Executable(program, [folder.path + "/ini"], folder: folder.path)
        let (process, path) = (process, sockets + "/.s.PGSQL.5432")
        try eventually("PgBouncer") {
            if !process.isRunning { throw Executable.Failure("PgBouncer ended: \(process.error)") }
            return (try? FastCGI(path)) != nil
        }
    }

    /// Where libpq finds a database through it.
    public func url(_ database: String) -> String { "postgresql://postgres@/\(database)?host=\(folder.path)/s" }
}
