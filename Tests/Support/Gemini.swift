import Foundation

/// The sandbox Gemini in a process of its own.
public final class Gemini: @unchecked Sendable {
    public let url: String
    private let port: UInt16
    private let process: Executable

    /// - Parameters:
    ///   - delay, interval: milliseconds to the first byte of an answer, and between its chunks.
    ///   - faults: how it misbehaves by itself, as `SEED:RATE`.
    public init(folder: Folder, delay: Int = 0, interval: Int = 0, faults: String? = nil) throws {
        let process = try Executable(
            "sandbox-gemini",
            ["--port", "0", "--delay-ms", String(delay), "--chunk-ms", String(interval), "--seed", "1"]
                + (faults.map { ["--faults", $0] } ?? []),
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

    /// How often each fault was played.
    public func faults() throws -> [String: Int] {
        let counts = try http("GET", "/sandbox/faults")
        return Dictionary(uniqueKeysWithValues: counts.names.map { ($0, Int(counts[$0].number ?? 0)) })
    }

    /// What comes back, byte for byte, for a message whose answer is streamed, until the end or until nothing came for a
    /// second.
    public func stream(_ message: String) throws -> String {
        let body: JSONValue = ["contents": [["role": "user", "parts": [["text": .string(message)]]]]]
        let path = "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
        return String(decoding: try exchange("POST", path, body: body.bytes, patience: 1), as: UTF8.self)
    }

    private static func seconds(_ time: String) -> Double {
        let format = ISO8601DateFormatter()
        format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        return format.date(from: time)?.timeIntervalSince1970 ?? 0
    }

    private func http(_ method: String, _ path: String) throws -> JSONValue {
        let bytes = try exchange(method, path)
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)), let json = JSONValue(bytes[end.upperBound...])
        else { throw Executable.Failure("the sandbox answered \(String(decoding: bytes, as: UTF8.self))") }
        return json
    }

    private func exchange(_ method: String, _ path: String, body: [UInt8] = [], patience: Int = 60) throws -> [UInt8] {
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
        let head = [
            "\(method) \(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "x-goog-api-key: test",
            "Content-Length: \(body.count)", "", "",
        ].joined(separator: "\r\n")
        let request = Array(head.utf8) + body
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw Executable.Failure("cannot write to the sandbox")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return bytes
    }
}
