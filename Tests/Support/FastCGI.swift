import Foundation

/// A listening Unix socket, to become a handler's descriptor 0.
public final class Listener: Sendable {
    public let path: String
    public let descriptor: Int32

    public init(path: String) throws {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let bound = withSocketAddress(path) { bind(descriptor, $0, $1) }
        guard bound == 0, listen(descriptor, 1_024) == 0 else {
            throw Executable.Failure("cannot listen at \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }
}

/// What came back for a request.
public struct Answer: Sendable {
    public let status: Int
    public let headers: [(name: String, value: String)]
    public let body: [UInt8]

    /// Takes an answer as CGI writes it (RFC 3875, 6): header lines, an empty line, the body.
    public init(cgi bytes: [UInt8]) throws {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
            throw Executable.Failure("no header in \(bytes.count) bytes: \(String(decoding: bytes, as: UTF8.self))")
        }
        headers = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n").map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
            return (String(parts[0]), value)
        }
        body = Array(bytes[end.upperBound...])
        status = headers.first { $0.name == "Status" }.flatMap { Int($0.value.prefix(3)) } ?? 200
    }

    /// A header's value, by its name in any case.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    public var text: String { String(decoding: body, as: UTF8.self) }
    public var json: JSONValue { JSONValue(body) ?? .missing }
}

/// A connection that speaks FastCGI to a handler, byte for byte as a test wants it.
public final class FastCGI: @unchecked Sendable {
    private let descriptor: Int32
    private var received: [UInt8] = []
    private var isOpen = true
    /// What became of the connection, for whoever misses an answer.
    private let connected = now()
    private var sent: (after: Double, count: Int)?
    private var reason = ""

    public enum Record: UInt8, Sendable {
        case begin = 1, abort, end, params, input, output, error
    }

    public init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        // Where nobody reads any more, a test that writes fails and does not wait for ever.
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard withSocketAddress(path, { connect(descriptor, $0, $1) }) == 0 else {
            // deinit closes the descriptor: closed twice, it may be another's by then.
            throw Executable.Failure("cannot connect to \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { end() }

    private func end() {
        if isOpen { close(descriptor) }
        isOpen = false
    }

    /// Hangs up, after which nothing is sent or received.
    public func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }
    /// Says that nothing more is sent.
    public func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// One record, with any type and a length that is right or not.
    public static func record(_ type: Record, _ content: [UInt8] = [], announced: Int? = nil) -> [UInt8] {
        let length = announced ?? content.count
        return [1, type.rawValue, 0, 1, UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), 0, 0] + content
    }

    /// The records that begin a request.
    public static let begin = record(.begin, [0, 1, 0, 0, 0, 0, 0, 0])

    /// Bytes as a stream of records, closed by an empty one.
    public static func stream(_ type: Record, _ content: [UInt8], isClosed: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: content.count, by: 32_768) {
            bytes += record(type, Array(content[start..<min(start + 32_768, content.count)]))
        }
        return isClosed ? bytes + record(type) : bytes
    }

    /// Names and values as FastCGI writes them.
    public static func pairs(_ parameters: [String: String]) -> [UInt8] {
        func length(_ count: Int) -> [UInt8] {
            if count < 128 { return [UInt8(count)] }
            return [
                UInt8(count >> 24 | 0x80), UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF),
            ]
        }
        return parameters.flatMap { name, value in
            length(name.utf8.count) + length(value.utf8.count) + Array(name.utf8) + Array(value.utf8)
        }
    }

    /// Sends bytes; how many were taken until the other side had gone.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { buffer in
            var count = 0
            while count < buffer.count {
                let sent = Glibc.send(
                    descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count, noSignal)
                if sent < 0, errno == EINTR { continue }
                guard sent > 0 else {
                    reason = "sending: \(String(cString: strerror(errno)))"
                    break
                }
                count += sent
            }
            if sent == nil { sent = (now() - connected, count) }
            return count
        }
    }

    /// Sends a whole request.
    public func sendRequest(_ parameters: [String: String], body: [UInt8] = []) {
        send(FastCGI.begin + FastCGI.stream(.params, FastCGI.pairs(parameters)))
        send(FastCGI.stream(.input, body))
    }

    /// The next bytes, at most so many; nil at the end, or when the time is over.
    public func receive(_ limit: Int = 65_536, seconds: Double = 60) throws -> [UInt8]? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let deadline = now() + seconds
        var ready: Int32
        repeat {
            ready = poll(&entry, 1, Int32(max(0, deadline - now()) * 1_000))
        } while ready < 0 && errno == EINTR
        guard ready > 0 else { throw Executable.Failure("no answer within \(seconds) s") }
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = read(descriptor, &buffer, limit)
        if count < 0 { reason = "receiving: \(String(cString: strerror(errno)))" }
        return count > 0 ? Array(buffer.prefix(count)) : nil
    }

    /// Whether something has come that was not received yet.
    public var hasAnswer: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    /// What the handler wrote to its output until it said that it had ended; nil where it never said so.
    public func output(seconds: Double = 60) throws -> [UInt8]? {
        // What answers several closes none of their connections before it has answered all.
        let last = FastCGI.record(.end, announced: 8)
        while Array(received.suffix(16).prefix(8)) != last, let bytes = try receive(seconds: seconds) {
            received += bytes
        }
        // At once, as nginx does: a handler of libfcgi waits for it.
        end()
        return FastCGI.output(in: received)
    }

    /// The output in the records of a whole answer; nil where its end is missing.
    public static func output(in bytes: [UInt8]) -> [UInt8]? {
        var output: [UInt8] = []
        var start = 0
        while start + 8 <= bytes.count {
            let length = Int(bytes[start + 4]) << 8 | Int(bytes[start + 5])
            let end = start + 8 + length
            guard end <= bytes.count else { return nil }
            if bytes[start + 1] == Record.output.rawValue { output += bytes[(start + 8)..<end] }
            if bytes[start + 1] == Record.end.rawValue { return output }
            start = end + Int(bytes[start + 6])
        }
        return nil
    }

    /// The answer to the request that was sent.
    public func answer(seconds: Double = 60) throws -> Answer {
        guard let output = try output(seconds: seconds) else {
            throw Executable.Failure(
                "the answer was cut short after \(received.count) bytes and \(now() - connected) s; "
                    + "sent, how long after connecting: \(sent.map { "\($0)" } ?? "nothing"); \(reason)")
        }
        return try Answer(cgi: output)
    }
}

private let noSignal = Int32(MSG_NOSIGNAL)

private func withSocketAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
