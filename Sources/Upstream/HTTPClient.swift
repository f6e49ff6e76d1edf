import CCurl
import Common
import Glibc

/// A request to be sent.
public struct HTTPRequest {
    /// In capitals; only `POST` has a body.
    public let method: String
    public let url: String
    public let headers: [(String, String)]
    public let body: [UInt8]
    /// What is sent in place of the body where that is too large to be held.
    public let upload: Upload?
    /// Milliseconds for the whole exchange, and seconds of silence, after which it is given up.
    public let timeout: Int
    public let silence: Int
    /// Whether it may go over a connection that was used before. If that one turns out to be dead, libcurl sends the request
    /// again by itself, without knowing whether the first came.
    public let mayRepeat: Bool

    public init(
        _ method: String = "POST", url: String, headers: [(String, String)], body: [UInt8] = [], upload: Upload? = nil,
        timeout: Int, silence: Int,
        mayRepeat: Bool = true
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.upload = upload
        self.timeout = timeout
        self.silence = silence
        self.mayRepeat = mayRepeat
    }
}

/// One exchange under way: what has come so far, and in the end how it went.
public final class Transfer {
    /// More than any answer of the services that we call.
    static let bodyLimit = 32 << 20

    fileprivate let easy: UnsafeMutableRawPointer
    fileprivate var headers: UnsafeMutablePointer<curl_slist>?
    private let upload: Upload?
    private var received: [UInt8] = []
    private var total = 0
    /// Milliseconds of the limits, and when it began (monotonic).
    private let (timeout, silence): (Int, Int)
    private let began = monotonicMilliseconds()
    fileprivate var onArrival: (() -> Void)?
    /// Set at the end; nil for an answer that came whole, of whatever status.
    public fileprivate(set) var failure: CURLcode?
    /// The HTTP status, 0 before there is one.
    public var status: Int { curl_get_status(easy) }

    fileprivate init?(_ request: HTTPRequest) {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        upload = request.upload
        (timeout, silence) = (request.timeout, request.silence * 1_000)
        for (name, value) in request.headers { headers = curl_slist_append(headers, "\(name): \(value)") }
        // No waiting for "100 Continue" before a large body.
        headers = curl_slist_append(headers, "Expect:")
        curl_set_string(easy, CURLOPT_URL, request.url)
        curl_set_pointer(easy, CURLOPT_HTTPHEADER, headers)
        if let upload {
            upload.attach(to: easy)
        } else if request.method == "POST" {
            _ = request.body.withUnsafeBytes { buffer in
                curl_set_body(easy, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), curl_off_t(buffer.count))
            }
        } else if request.method != "GET" {
            curl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method)
        }
        curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, 5_000)
        curl_set_long(easy, CURLOPT_TIMEOUT_MS, request.timeout)
        curl_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, 1)
        curl_set_long(easy, CURLOPT_LOW_SPEED_TIME, request.silence)
        curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
        if !request.mayRepeat {
            curl_set_long(easy, CURLOPT_FRESH_CONNECT, 1)
            curl_set_long(easy, CURLOPT_FORBID_REUSE, 1)
        }
        // A burst shares one connection of HTTP/2 instead of opening hundreds. Without TLS, whose handshake tells, all would
        // wait for the first answer.
        if request.url.hasPrefix("https:") { curl_set_long(easy, CURLOPT_PIPEWAIT, 1) }
        curl_set_write(
            easy,
            { bytes, size, count, context in
                guard let bytes, let context else { return 0 }
                let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
                return transfer.receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        curl_slist_free_all(headers)
        curl_easy_cleanup(easy)
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        total += bytes.count
        // Anything but the whole count makes libcurl give up with CURLE_WRITE_ERROR.
        guard !isTooLong else { return 0 }
        if received.isEmpty { onArrival?() }
        received.append(contentsOf: bytes)
        return bytes.count
    }

    /// Whether more came than is taken of any answer.
    public var isTooLong: Bool { total > Transfer.bodyLimit }

    /// Whether it took all its time, and something came all along: that is more than the time for which it may be silent.
    public var hasFlowed: Bool { total > 0 && timeout > silence && monotonicMilliseconds() - began >= timeout }

    /// A header of the answer, by its name in any case; of one that came twice, the last.
    public func header(_ name: String) -> String? { curl_get_header(easy, name).map { String(cString: $0) } }

    /// What has come since the last call.
    public func take() -> [UInt8] {
        defer { received = [] }
        return received
    }
}

/// Many exchanges at once on one thread (libcurl's multi interface), with connections that are kept.
public final class HTTPClient {
    private let multi: UnsafeMutableRawPointer
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var arrived: [Transfer] = []
    /// How many are under way.
    public var count: Int { transfers.count }

    public init() {
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        guard let multi = curl_multi_init() else { Settings.refuse("libcurl cannot be initialised") }
        self.multi = multi
    }

    deinit {
        for transfer in Array(transfers.values) { cancel(transfer) }
        curl_multi_cleanup(multi)
    }

    /// Begins an exchange; nil where there is no memory for it.
    public func start(_ request: HTTPRequest) -> Transfer? {
        guard let transfer = Transfer(request), curl_multi_add_handle(multi, transfer.easy) == CURLM_OK else {
            return nil
        }
        transfers[transfer.easy] = transfer
        transfer.onArrival = { [unowned self, unowned transfer] in arrived.append(transfer) }
        return transfer
    }

    /// Those of which something has come since the last call, to be taken.
    public func takeArrived() -> [Transfer] {
        defer { arrived.removeAll(keepingCapacity: true) }
        return arrived
    }

    /// Ends an exchange at once.
    public func cancel(_ transfer: Transfer) {
        curl_multi_remove_handle(multi, transfer.easy)
        transfers[transfer.easy] = nil
    }

    /// Waits until there is something to do for an exchange or to read from one of `descriptors`, or the time is over.
    /// The descriptors that are readable.
    public func wait(milliseconds: Int, descriptors: [Int32]) -> Set<Int32> {
        var extra = descriptors.map { curl_waitfd(fd: $0, events: Int16(CURL_WAIT_POLLIN), revents: 0) }
        curl_multi_poll(multi, &extra, UInt32(extra.count), Int32(clamping: milliseconds), nil)
        return Set(extra.filter { $0.revents != 0 }.map(\.fd))
    }

    /// Moves all exchanges on; those that have ended.
    public func perform() -> [Transfer] {
        var running: Int32 = 0
        curl_multi_perform(multi, &running)
        var ended: [Transfer] = []
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let transfer = transfers[easy]
            else { continue }
            let code = curl_message_result(message)
            transfer.failure = code == CURLE_OK ? nil : code
            cancel(transfer)
            ended.append(transfer)
        }
        return ended
    }
}
