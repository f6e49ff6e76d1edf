import Foundation

/// A TCP port on the loopback address that hands on to a Postgres, or to nobody.
public final class Relay: Sendable {
    public let port: Int
    private let listener: Int32
    private let accepting = DispatchSemaphore(value: 1)

    /// - Parameter postgres: nil for a port that takes connections and never answers.
    public init(to postgres: Postgres?) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (listener, length) = (listener, size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard isListening else { throw Executable.Failure("no port: \(String(cString: strerror(errno)))") }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard let path = postgres.map({ "\($0.sockets)/.s.PGSQL.5432" }) else { return }
        accepting.wait()
        Thread.detachNewThread { [accepting] in
            defer { accepting.signal() }
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                guard let server = try? FastCGI(path) else {
                    close(client)
                    continue
                }
                let ended = DispatchSemaphore(value: 0)
                Thread.detachNewThread {
                    while let bytes = try? server.receive(seconds: 600) {
                        _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                    }
                    shutdown(client, Int32(SHUT_RDWR))
                    ended.signal()
                }
                Thread.detachNewThread {
                    var buffer = [UInt8](repeating: 0, count: 65_536)
                    while true {
                        let count = read(client, &buffer, buffer.count)
                        guard count > 0, server.send(Array(buffer.prefix(count))) == count else { break }
                    }
                    server.hangUp()
                    // Before that the number of its descriptor may not become another's.
                    ended.wait()
                    close(client)
                }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        // Before that the number of its descriptor may not become another's.
        accepting.wait()
        close(listener)
        accepting.signal()
    }
}
