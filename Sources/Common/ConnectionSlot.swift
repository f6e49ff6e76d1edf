import CLinux
import Glibc

/// The right to one of the connections that the handlers of this host have together (`CONNECTIONS`), while it is held.
///
/// A slot is a lock on a byte of a FIFO, so that it is free as soon as its process has died. Where all are taken, a byte
/// written to the FIFO asks an idle holder for its connection.
final class ConnectionSlot {
    /// Readable when some process asks for a connection; nil where their number has no limit.
    static let requests: Int32? = {
        guard Settings.connections > 0, !Settings.connectionsFIFO.isEmpty else { return nil }
        return open()
    }()

    private let descriptor: Int32

    /// Takes a slot, if need be after asking for one.
    /// - Parameter deadline: monotonic milliseconds.
    /// - Throws: `DatabaseError.unavailable` where none became free.
    init(until deadline: Int) throws {
        descriptor = ConnectionSlot.open()
        let (start, began) = (Int(getpid()), monotonicMilliseconds())
        var nextRequest = 0
        while !(0..<Settings.connections).contains(where: { lock((start + $0) % Settings.connections) }) {
            let now = monotonicMilliseconds()
            guard now < deadline else {
                throw DatabaseError.unavailable("all \(Settings.connections) connections are in use")
            }
            if now >= nextRequest {
                // A pipe that is full holds enough requests.
                _ = write(descriptor, "!", 1)
                nextRequest = now + 50
            }
            usleep(now - began < 10 ? 1_000 : 5_000)
        }
    }

    deinit { close(descriptor) }

    /// Whether one of the requests fell to this process, which then has to close its connection.
    static func takeRequest() -> Bool {
        guard let requests else { return false }
        var byte: UInt8 = 0
        return read(requests, &byte, 1) == 1
    }

    private static func open() -> Int32 {
        let descriptor = Glibc.open(Settings.connectionsFIFO, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            Settings.refuse("CONNECTIONS_FIFO \(Settings.connectionsFIFO): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    /// Locks a byte for this open file, not for the process as POSIX has it (fcntl(2), open file description locks).
    private func lock(_ byte: Int) -> Bool {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = off_t(byte)
        lock.l_len = 1
        return fcntl(descriptor, ConnectionSlot.setLock, &lock) == 0
    }

    /// F_OFD_SETLK, which Swift's Glibc leaves out.
    private static let setLock: Int32 = 37
}
