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

    /// The next request of FastCGI; nil if another process took it.
    public static func accept() -> Exchange? { Exchange(accepting: FCGI_FAIL_ACCEPT_ON_INTR) }

    private init?(accepting flags: Int32) {
        let request = UnsafeMutablePointer<FCGX_Request>.allocate(capacity: 1)
        fastCGI = request
        guard FCGX_InitRequest(request, 0, flags) == 0, FCGX_Accept_r(request) == 0 else { return nil }
    }

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

    /// The body, as far as it keeps to the limit; nil where it does not.
    func body(limit: Int) -> [UInt8]? {
        let announced = parameter("CONTENT_LENGTH").flatMap { Int($0) }
        // What comes with GET has no meaning (RFC 9110, 9.3.1).
        if announced == nil, parameter("REQUEST_METHOD") == "GET" { return [] }
        // CGI's standard input need not end; without a length, FastCGI's does.
        let length = announced ?? (fastCGI == nil ? 0 : limit + 1)
        guard length > 0 else { return [] }
        if let announced, announced > limit { return nil }
        var body = [UInt8](repeating: 0, count: announced ?? 4_096)
        var count = 0
        while count < length {
            if count == body.count { body += [UInt8](repeating: 0, count: count) }
            let got = body.withUnsafeMutableBytes { buffer -> Int in
                guard let start = buffer.baseAddress?.advanced(by: count) else { return 0 }
                if let fastCGI {
                    return Int(
                        FCGX_GetStr(
                            start.assumingMemoryBound(to: CChar.self), Int32(buffer.count - count), fastCGI.pointee.in))
                }
                return read(0, start, buffer.count - count)
            }
            if got <= 0 { break }
            count += got
        }
        return count > limit ? nil : Array(body.prefix(count))
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
