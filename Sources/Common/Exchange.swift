import CFCGI
import Glibc

/// One request on its way through this process: a connection of FastCGI, or this whole process as CGI.
final class Exchange {
    /// Nil for CGI.
    private let fastCGI: UnsafeMutablePointer<FCGX_Request>?
    /// The connection to the web server, to notice that it hung up.
    var descriptor: Int32? { fastCGI?.pointee.ipcFd }

    /// This process, run as CGI (RFC 3875).
    init() { fastCGI = nil }

    /// The next connection of the listening descriptor 0; nil if another process took it.
    init?(accepting flags: Int32) {
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

    /// A meta-variable.
    func parameter(_ name: String) -> String? {
        let value = if let fastCGI { FCGX_GetParam(name, fastCGI.pointee.envp) } else { getenv(name) }
        return value.map { String(cString: $0) }
    }

    /// The body, as far as it keeps to the limit; nil where it does not.
    func body(limit: Int) -> [UInt8]? {
        let announced = parameter("CONTENT_LENGTH").flatMap { Int($0) }
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
