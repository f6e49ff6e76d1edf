import Glibc

/// The way back to the web server for an answer that comes bit by bit: what the other side does not take now is kept and
/// sent when it does, and nobody waits for it.
///
/// It writes FastCGI's records itself: libfcgi's streams wait, and keep 16 KB for each request. As CGI, where one process
/// has one answer, the bytes go to standard output, and it does wait.
public final class Connection {
    /// What to watch, for the other side's hanging up and, while there is something unsent, for its taking more.
    public let descriptor: Int32
    /// The web server's number of the request; nil for CGI.
    private let number: UInt16?
    private var unsent: [UInt8] = []
    private var start = 0
    /// Whether `end` was called.
    public private(set) var hasEnded = false
    /// Whether the other side has gone.
    public private(set) var isBroken = false

    private static let (endRequest, output) = (UInt8(3), UInt8(6))
    private static let longest = 65_535

    /// - Parameter number: the request's on this connection, which is then closed in the end.
    init(descriptor: Int32, number: UInt16?) {
        self.descriptor = descriptor
        self.number = number
    }

    deinit {
        guard number != nil else { return }
        // To close with something unread would be a reset, and might cost the other side what it has not read.
        var rest = [UInt8](repeating: 0, count: 4_096)
        while recv(descriptor, &rest, rest.count, Int32(MSG_DONTWAIT)) > 0 {}
        close(descriptor)
    }

    /// Bytes that the other side has not taken.
    public var unsentCount: Int { unsent.count - start }

    /// Adds bytes of the answer, unless it has ended; `flush` sends them.
    public func write(_ bytes: [UInt8]) {
        guard !hasEnded else { return }
        guard number != nil else {
            unsent += bytes
            return
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(Connection.longest)
            record(Connection.output, part.count)
            unsent += part
            rest = rest.dropFirst(part.count)
        }
    }

    /// Says that the answer is whole; `flush` sends that too.
    public func end() {
        guard !hasEnded else { return }
        hasEnded = true
        guard number != nil else { return }
        record(Connection.output, 0)
        record(Connection.endRequest, 8)
        unsent += [UInt8](repeating: 0, count: 8)  // application status 0, FCGI_REQUEST_COMPLETE
    }

    /// The header of a record (FastCGI specification, 3.3).
    private func record(_ type: UInt8, _ length: Int) {
        let number = number ?? 0
        unsent += [
            1, type, UInt8(number >> 8), UInt8(number & 0xFF), UInt8(length >> 8), UInt8(length & 0xFF), 0, 0,
        ]
    }

    /// Cuts the answer short, as far as it was sent. A web server may take a mere close for the end (nginx does), but not what
    /// is no record.
    func abort() {
        guard !hasEnded, number != nil, unsentCount == 0 else { return }
        hasEnded = true
        unsent = [UInt8](repeating: 0, count: 8)
        flush()
    }

    /// Sends all there is, and waits for the other side to take it: so long for each bit that it takes. Otherwise it counts
    /// as gone.
    func drain(patience seconds: Int) {
        flush()
        var deadline = monotonicMilliseconds() + seconds * 1_000
        while unsentCount > 0 {
            // A Unix socket tells of room only when three quarters of it are free, so it is tried before that.
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&entry, 1, 250)
            let before = unsentCount
            flush()
            if unsentCount < before { deadline = monotonicMilliseconds() + seconds * 1_000 }
            if monotonicMilliseconds() > deadline || Int32(entry.revents) & (POLLHUP | POLLERR) != 0 { isBroken = true }
            if isBroken { return }
        }
    }

    /// Sends as much as the other side takes.
    public func flush() {
        while unsentCount > 0 {
            let sent = unsent.withUnsafeBytes { buffer in
                let part = UnsafeRawBufferPointer(rebasing: buffer[start...])
                return number == nil
                    ? Glibc.write(descriptor, part.baseAddress, part.count)
                    : send(descriptor, part.baseAddress, part.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            if sent >= 0 {
                start += sent
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                isBroken = true
                break
            }
        }
        unsent = []
        start = 0
    }
}
