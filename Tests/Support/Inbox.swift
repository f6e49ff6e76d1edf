import Foundation

/// A port that takes webhooks, as a web server would: each POST's body and its signature are handed on, and the status that comes
/// back is answered.
final class Inbox: @unchecked Sendable {
    let url: String
    private let listener: Int32

    init(_ take: @escaping @Sendable ([UInt8], String) -> Int) throws {
        let port = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        listener = port
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(port, $0, size) == 0 && listen(port, 256) == 0 && getsockname(port, $0, &size) == 0
            }
        }
        guard isBound else { throw Executable.Failure("no port for webhooks") }
        url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))/webhook/stripe"
        Thread {
            while true {
                let connection = accept(port, nil, nil)
                if connection < 0 { return }
                Thread { Inbox.serve(connection, take) }.start()
            }
        }.start()
    }

    /// Wakes the thread that accepts, which then ends.
    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func serve(_ connection: Int32, _ take: ([UInt8], String) -> Int) {
        defer { close(connection) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return }
            bytes += buffer.prefix(count)
            guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { continue }
            let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
            func header(_ name: String) -> String {
                lines.first { $0.lowercased().hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2)) }
                    ?? ""
            }
            let body = bytes[end.upperBound...]
            guard body.count >= Int(header("content-length")) ?? 0 else { continue }
            let status = take(Array(body), header("stripe-signature"))
            let answer = "HTTP/1.1 \(status) X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            _ = send(connection, answer, answer.utf8.count, Int32(MSG_NOSIGNAL))
            return
        }
    }
}
