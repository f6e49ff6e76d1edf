import Foundation

/// The sandbox Gemini in a process of its own.
public final class Gemini: @unchecked Sendable {
    public let url: String
    private let port: UInt16
    private let process: Executable

    /// - Parameter delay: milliseconds to the first byte of an answer.
    public init(folder: Folder, delay: Int = 0) throws {
        let process = try Executable(
            "sandbox-gemini", ["--port", "0", "--delay-ms", String(delay), "--chunk-ms", "0", "--seed", "1"],
            folder: folder.path)
        self.process = process
        let mark = "listening 127.0.0.1:"
        try eventually("the sandbox") { process.output.hasPrefix(mark) && process.output.contains("\n") }
        guard let port = UInt16(process.output.dropFirst(mark.count).prefix { $0.isNumber }) else {
            throw Executable.Failure("the sandbox said \(process.output)")
        }
        self.port = port
        url = "http://127.0.0.1:\(port)"
    }

    /// A request that it received.
    public struct Request: Sendable {
        public let path: String
        public let headers: JSONValue
        public let body: JSONValue
        /// Seconds since 1970.
        public let time: Double
        /// What the conversation consists of, as `user: Hello`.
        public var turns: [String] {
            body["contents"].list.map { "\($0["role"].text ?? "?"): \($0["parts"][0]["text"].text ?? "?")" }
        }
    }

    /// The requests for replies that it received, oldest first.
    public func requests() throws -> [Request] {
        try http("GET", "/sandbox/requests").list.map { entry in
            Request(
                path: entry["path"].text ?? "", headers: entry["headers"], body: entry["body"],
                time: Gemini.seconds(entry["time"].text ?? ""))
        }
    }

    private static func seconds(_ time: String) -> Double {
        let format = ISO8601DateFormatter()
        format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        return format.date(from: time)?.timeIntervalSince1970 ?? 0
    }

    private func http(_ method: String, _ path: String) throws -> JSONValue {
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
        let head = Array("\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8)
        guard send(descriptor, head, head.count, Int32(MSG_NOSIGNAL)) == head.count else {
            throw Executable.Failure("cannot write to the sandbox")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)), let json = JSONValue(bytes[end.upperBound...])
        else { throw Executable.Failure("the sandbox answered \(String(decoding: bytes, as: UTF8.self))") }
        return json
    }
}
