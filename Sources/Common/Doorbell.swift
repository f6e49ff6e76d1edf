import Glibc

/// Tells a worker on this host that there is something to do: one datagram to its Unix socket.
///
/// It never blocks and may fail, because the worker looks by itself too. `NOTIFY` would do across hosts, but within a
/// sender's transaction it makes all commits wait for each other (9.2k against 2.7k inserts/s).
public struct Doorbell: ~Copyable, Sendable {
    private let path: String
    private let descriptor: Int32

    /// The end that rings.
    public static let bell = Doorbell(path: Settings.doorbell)

    public init(path: String) {
        self.path = path
        descriptor = path.isEmpty ? -1 : Doorbell.socket()
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Rings. A worker that is away or has been rung often enough already is no error.
    public func ring() {
        guard !path.isEmpty else { return }
        // There may have been no descriptor for it at the start.
        let end = descriptor >= 0 ? descriptor : Doorbell.socket()
        defer { if end != descriptor { Glibc.close(end) } }
        withUnsafePointer(to: Doorbell.address(path)) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = sendto(end, "!", 1, Int32(MSG_DONTWAIT), address, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// The descriptor of the end that hears, at `path`; nil where it cannot be made. The newest listener has it.
    public static func listen(at path: String) -> Int32? {
        guard !path.isEmpty else { return nil }
        let descriptor = socket()
        guard descriptor >= 0 else {
            Log.error("no doorbell", ["path": path, "reason": String(cString: strerror(errno))])
            return nil
        }
        unlink(path)
        let bound = withUnsafePointer(to: address(path)) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // The group of its folder, which handlers are in, may ring too; nobody else may.
        guard bound == 0, chmod(path, 0o660) == 0 else {
            Log.error("no doorbell", ["path": path, "reason": String(cString: strerror(errno))])
            Glibc.close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Takes what has come in.
    public static func silence(_ descriptor: Int32) {
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 {}
    }

    private static func socket() -> Int32 {
        Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_NONBLOCK | O_CLOEXEC, 0)
    }

    private static func address(_ path: String) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            Settings.refuse("DOORBELL is longer than the path of a Unix socket can be: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }
}
