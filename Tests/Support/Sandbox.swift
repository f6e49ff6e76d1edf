import Foundation

/// A stand-in for an outside service, in a process of its own, on a port that was free.
public final class Sandbox: @unchecked Sendable {
    public let url: String
    private let port: UInt16
    private let process: Executable

    /// - Parameter name: of its executable.
    public init(_ name: String, _ arguments: [String] = [], folder: Folder) throws {
        let process = try Executable(name, ["--port", "0"] + arguments, folder: folder.path)
        self.process = process
        let mark = "listening 127.0.0.1:"
        try eventually("the sandbox") { process.output.hasPrefix(mark) && process.output.contains("\n") }
        guard let port = UInt16(process.output.dropFirst(mark.count).prefix { $0.isNumber }) else {
            throw Executable.Failure("the sandbox said \(process.output)")
        }
        self.port = port
        url = "http://127.0.0.1:\(port)"
    }

    public func terminate() { process.terminate() }

    /// The JSON of an answer.
    public func http(
        _ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8] = []
    ) throws -> JSONValue {
        let bytes = try exchange(method, path, headers: headers, body: body)
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)), let json = JSONValue(bytes[end.upperBound...])
        else { throw Executable.Failure("the sandbox answered \(String(decoding: bytes, as: UTF8.self))") }
        return json
    }

    /// What comes back, byte for byte, until the end or until nothing came for so many seconds.
    public func exchange(
        _ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8] = [], patience: Int = 60
    ) throws -> [UInt8] {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Executable.Failure("cannot reach the sandbox") }
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let head =
            ([
                "\(method) \(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "x-goog-api-key: test",
                "Content-Length: \(body.count)",
            ] + headers.map { "\($0): \($1)" } + ["", ""]).joined(separator: "\r\n")
        let request = Array(head.utf8) + body
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw Executable.Failure("cannot write to the sandbox")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return bytes
    }
}
