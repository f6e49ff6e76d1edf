import Glibc

/// One accepted connection: blocking reads and writes, and the ways of ending it that a fault test needs.
final class Socket {
    /// The other side is gone, or was silent for too long. There is nobody left to tell.
    struct Lost: Error {}

    /// How long a read or a write may stand still, in seconds.
    private static let patience = 75
    /// POLLRDHUP, which the Glibc module leaves out.
    private static let peerHungUp: Int16 = 0x2000

    private var descriptor: Int32
    private var buffer: [UInt8] = []
    private var consumed = 0

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close() }

    var isOpen: Bool { descriptor >= 0 }

    /// The next line without its line ending. Nil: longer than `limit`.
    func line(limit: Int) throws -> [UInt8]? {
        var searched = consumed
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                var line = buffer[consumed..<end]
                consumed = end + 1
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                return line.count > limit ? nil : Array(line)
            }
            let pending = buffer.count - consumed
            if pending > limit { return nil }
            try receive()
            searched = consumed + pending
        }
    }

    /// Exactly `count` bytes.
    func bytes(_ count: Int) throws -> [UInt8] {
        while buffer.count - consumed < count { try receive() }
        defer { consumed += count }
        return Array(buffer[consumed..<consumed + count])
    }

    private func receive() throws {
        buffer.removeFirst(consumed)
        consumed = 0
        let size = 16 * 1024
        let received = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size) { space in
            var count: Int
            repeat { count = recv(descriptor, space.baseAddress, size, 0) } while count < 0 && errno == EINTR
            if count > 0 { buffer += space[..<count] }
            return count
        }
        if received <= 0 { throw Lost() }
    }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
            if count > 0 {
                sent += count
            } else if errno != EINTR {
                throw Lost()
            }
        }
    }

    /// Waits, but no longer than the client does. A client that shuts down only its sending half counts as gone.
    func pause(milliseconds: Int) throws {
        let clock = ContinuousClock()
        let end = clock.now + .milliseconds(milliseconds)
        while true {
            let left = clock.now.duration(to: end) / .milliseconds(1)
            if left <= 0 { return }
            var watched = pollfd(fd: descriptor, events: Self.peerHungUp, revents: 0)
            if poll(&watched, 1, Int32(clamping: Int(left.rounded(.up)))) > 0 { throw Lost() }
        }
    }

    /// Closes so that what was sent still arrives: a close with unread input would turn into a reset and discard it.
    func close() {
        guard isOpen else { return }
        shutdown(descriptor, Int32(SHUT_WR))
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let end = ContinuousClock.now + .seconds(2)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16 * 1024) { space in
            while ContinuousClock.now < end, recv(descriptor, space.baseAddress, space.count, 0) > 0 {}
        }
        discard()
    }

    /// Ends the connection with a RST.
    func reset() {
        guard isOpen else { return }
        var atOnce = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
        discard()
    }

    private func discard() {
        Glibc.close(descriptor)
        descriptor = -1
        buffer = []
        consumed = 0
    }
}
