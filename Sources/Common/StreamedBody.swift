/// The body of one answer on its way to a reader who may be slow, or leave, while this process waits.
///
/// The head goes out with the first bytes, so that a body that cannot be begun is an error like any other. One that cannot be
/// ended is cut: the web server sees that the end is missing, and its caller too.
final class StreamedBody {
    private struct ReaderGone: Error {}

    private let exchange: Exchange
    private let head: [UInt8]
    /// Monotonic milliseconds until which all has to be taken, for drops keep this process busy too.
    private let end = monotonicMilliseconds() + 20 * Settings.readerPatience * 1_000
    private var connection: Connection?

    init(_ exchange: Exchange, head: [UInt8]) {
        self.exchange = exchange
        self.head = head
    }

    /// Sends what `body` writes.
    func send(_ body: Response.Body, requestID: String) {
        do {
            try body(write)
            try write([])
            connection?.end()
            connection?.drain(patience: Settings.readerPatience)
        } catch is ReaderGone {
            Log.notice("answer cut short, its reader takes no more", ["request_id": requestID])
            connection?.abort()
        } catch {
            let problem = Problem(telling: error, requestID: requestID)
            if connection == nil {
                exchange.send(problem.response(requestID: requestID).cgi(requestID: requestID))
            } else {
                // Who sees that it is cut finds the reason in the log.
                Log.error("answer cut short", ["request_id": requestID, "reason": "\(error)"])
                connection?.abort()
            }
        }
    }

    private func write(_ bytes: [UInt8]) throws {
        CPULimit.restart()
        let connection = connection ?? exchange.detach()
        if self.connection == nil { connection.write(head) }
        self.connection = connection
        connection.write(bytes)
        connection.drain(patience: Settings.readerPatience)
        if connection.isBroken || monotonicMilliseconds() > end { throw ReaderGone() }
    }
}
