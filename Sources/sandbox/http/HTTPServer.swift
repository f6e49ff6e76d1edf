import Glibc

/// A small blocking HTTP/1.1 server on 127.0.0.1 for stand-ins of outside services: one thread a connection, so that
/// a handler can be plain code that waits, stalls and breaks off where the fault it plays says so.
public struct HTTPServer: Sendable {
    /// Answers one request. Called on many threads at once. What it throws before it began to answer becomes a 500.
    public typealias Handler = @Sendable (HTTPRequest, HTTPExchange) throws -> Void

    private let name: String
    private let handler: Handler

    /// `name` stands before what the server says on standard error.
    public init(name: String, handler: @escaping Handler) {
        self.name = name
        self.handler = handler
    }

    /// Serves until SIGTERM or SIGINT, which end the process at once with exit code 0. Port 0 picks a free one.
    public func run(port: UInt16) -> Never {
        prepareProcess()
        let (listener, chosen) = listen(port: port)
        writeLine("listening 127.0.0.1:\(chosen)", to: STDOUT_FILENO)
        while true {
            let descriptor = accept(listener, nil, nil)
            if descriptor >= 0 {
                startThread(Connection(socket: Socket(descriptor: descriptor), server: self))
            } else if ![EINTR, ECONNABORTED].contains(errno) {
                complain("accept: \(lastError())")
                usleep(100_000)  // out of descriptors: give connections time to end
            }
        }
    }

    private func prepareProcess() {
        signal(SIGPIPE, SIG_IGN)
        var ending = sigset_t()
        sigemptyset(&ending)
        for number in [SIGTERM, SIGINT] {
            sigaddset(&ending, number)
            signal(number) { _ in _exit(0) }
        }
        pthread_sigmask(SIG_UNBLOCK, &ending, nil)  // a parent may have left them blocked
        var files = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        files.rlim_cur = files.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    }

    private func listen(port: UInt16) -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let succeeded = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, size) == 0 && Glibc.listen(descriptor, 4096) == 0
                    && getsockname(descriptor, generic, &size) == 0
            }
        }
        guard succeeded else {
            complain("cannot listen on 127.0.0.1:\(port): \(lastError())")
            exit(1)
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    private func startThread(_ connection: Connection) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 256 * 1024)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        let retained = Unmanaged.passRetained(connection)
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                if let argument { Unmanaged<Connection>.fromOpaque(argument).takeRetainedValue().serve() }
                return nil
            }, retained.toOpaque())
        if failure != 0 {
            complain("cannot start a thread: \(String(cString: strerror(failure)))")
            retained.release()
        }
    }

    private func complain(_ message: String) {
        writeLine("\(name): \(message)", to: STDERR_FILENO)
    }

    /// One write, so that lines of several threads do not mix, and unbuffered, so that whoever waits sees it.
    private func writeLine(_ line: String, to descriptor: Int32) {
        let bytes = Array("\(line)\n".utf8)
        _ = write(descriptor, bytes, bytes.count)
    }

    private func lastError() -> String {
        String(cString: strerror(errno))
    }

    /// A connection on its thread.
    private final class Connection {
        let socket: Socket
        let server: HTTPServer

        init(socket: Socket, server: HTTPServer) {
            self.socket = socket
            self.server = server
        }

        func serve() {
            defer { socket.close() }
            do {
                let reader = RequestReader(socket: socket)
                while try serveOne(from: reader) {}
            } catch let refusal as RequestReader.Refusal {
                refuse(refusal)
            } catch is Socket.Lost {
                // The client left; the next one is on its own thread.
            } catch {
                server.complain("\(error)")
            }
        }

        /// Whether the connection can carry a further request.
        private func serveOne(from reader: RequestReader) throws -> Bool {
            let request = try reader.next()
            let exchange = HTTPExchange(socket: socket, request: request)
            do {
                try server.handler(request, exchange)
            } catch let error where !(error is Socket.Lost) && !exchange.hasBegun {
                server.complain("\(request.method) \(request.path): \(error)")
                try exchange.answer(status: 500, type: "text/plain", body: Array("\(error)\n".utf8))
            }
            return exchange.mayKeepAlive && socket.isOpen
        }

        private func refuse(_ refusal: RequestReader.Refusal) {
            let phrase = HTTPExchange.phrases[refusal.status, default: "Unknown"]
            let text = "\(refusal.reason)\n"
            let answer =
                "HTTP/1.1 \(refusal.status) \(phrase)\r\nContent-Type: text/plain\r\n"
                + "Content-Length: \(text.utf8.count)\r\nConnection: close\r\n\r\n\(text)"
            do {
                try socket.send(Array(answer.utf8))
            } catch {
                // The client left without waiting for its refusal.
            }
        }
    }
}
