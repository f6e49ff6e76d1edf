import CFCGI
import Glibc

/// One request on its way through this process: a connection of FastCGI, or this whole process as CGI.
public final class Exchange {
    /// Nil for CGI, and once it is detached.
    private var fastCGI: UnsafeMutablePointer<FCGX_Request>?
    /// The connection to the web server, to notice that it hung up.
    var descriptor: Int32? { fastCGI?.pointee.ipcFd }

    /// Whether requests come as FastCGI, on the listening descriptor 0.
    public static var comesAsFastCGI: Bool {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(0, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value == 1
    }

    /// Begins to take FastCGI's requests; `poller` tells by descriptor 0 that there is one.
    public static func listen(_ poller: Poller) {
        FCGX_Init()
        _ = fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK)
        poller.watch(0, exclusively: true)
    }

    /// This process, run as CGI (RFC 3875).
    public init() { fastCGI = nil }

    /// There is no descriptor left to take a connection with, of this process or of the host.
    public struct OutOfDescriptors: Error {}

    /// The next request of FastCGI; nil if another process took it.
    /// - Throws: `OutOfDescriptors`. The connection waits, and descriptor 0 goes on being ready: `Poller.pause` keeps that from spinning.
    public static func accept() throws(OutOfDescriptors) -> Exchange? {
        let exchange = Exchange(request: .allocate(capacity: 1))
        guard let request = exchange.fastCGI else { return nil }
        guard FCGX_InitRequest(request, 0, FCGI_FAIL_ACCEPT_ON_INTR) == 0 else { return nil }
        let result = FCGX_Accept_r(request)
        // libfcgi gives the negated errno.
        if Descriptors.areLacking(-result) { throw OutOfDescriptors() }
        return result == 0 ? exchange : nil
    }

    private init(request: UnsafeMutablePointer<FCGX_Request>) { fastCGI = request }

    deinit {
        guard let fastCGI else { return }
        FCGX_Finish_r(fastCGI)
        FCGX_Free(fastCGI, 1)
        fastCGI.deallocate()
    }

    /// The connection alone, for an answer that comes bit by bit: what libfcgi keeps for a request is given back.
    /// Read before what you need of the request.
    public func detach() -> Connection {
        guard let fastCGI else { return Connection(descriptor: 1, number: nil) }
        let connection = Connection(
            descriptor: fastCGI.pointee.ipcFd, number: UInt16(truncatingIfNeeded: fastCGI.pointee.requestId))
        FCGX_Free(fastCGI, 0)
        fastCGI.deallocate()
        self.fastCGI = nil
        return connection
    }

    /// The request, without its body, while this is not detached.
    public var request: Request { Request(parameter: parameter, body: []) }

    /// A meta-variable.
    func parameter(_ name: String) -> String? {
        let value = if let fastCGI { FCGX_GetParam(name, fastCGI.pointee.envp) } else { getenv(name) }
        return value.map { String(cString: $0) }
    }

    /// How many bytes the body is said to have.
    private lazy var announced = parameter("CONTENT_LENGTH").flatMap { Int($0) }
    /// What may still come of it: CGI's standard input need not end; without a length, FastCGI's does.
    private lazy var unread = announced ?? (fastCGI == nil ? 0 : .max)

    /// The body, as far as it keeps to the limit; nil where it does not.
    func body(limit: Int) -> [UInt8]? {
        // What comes with GET has no meaning (RFC 9110, 9.3.1).
        if announced == nil, parameter("REQUEST_METHOD") == "GET" { return [] }
        if let announced { return announced > limit ? nil : read(announced) }
        var body: [UInt8] = []
        while body.count <= limit {
            let piece = read(4_096)
            if piece.isEmpty { return body }
            body += piece
        }
        return nil
    }

    /// The next bytes of the body, so many unless it ends before.
    func read(_ count: Int) -> [UInt8] {
        let count = max(0, min(count, unread))
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count, let start = buffer.baseAddress?.advanced(by: filled) {
                let got: Int
                if let fastCGI {
                    let start = UnsafeMutableRawPointer(start).assumingMemoryBound(to: CChar.self)
                    got = Int(FCGX_GetStr(start, Int32(clamping: count - filled), fastCGI.pointee.in))
                } else {
                    got = Glibc.read(0, start, count - filled)
                }
                if got <= 0 { break }
                filled += got
            }
        }
        unread -= bytes.count
        return bytes
    }

    /// Says that the answer is whole. Where several are answered together, none waits until the web server has closed the connection
    /// of the one before.
    func end() {
        guard let fastCGI else { return }
        FCGX_FClose(fastCGI.pointee.err)
        FCGX_FClose(fastCGI.pointee.out)
    }

    /// Sends the answer. A caller who has gone is no error.
    func send(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 20))
                let sent: Int
                if let fastCGI {
                    let start = part.baseAddress?.assumingMemoryBound(to: CChar.self)
                    sent = Int(FCGX_PutStr(start, Int32(part.count), fastCGI.pointee.out))
                } else {
                    sent = write(1, part.baseAddress, part.count)
                }
                guard sent > 0 else { return }
                rest = rest.dropFirst(sent)
            }
        }
    }
}
