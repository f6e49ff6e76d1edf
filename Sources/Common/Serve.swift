import Glibc

/// Answers requests that wait for this process, in any order: `answer` takes the number of each with what came of it, once.
public typealias BatchHandler = (
    _ requests: [Request], _ database: Database, _ answer: (Int, Swift.Result<Response, any Error>) -> Void
) -> Void

/// Serves requests with `handler`, one at a time, until the process is told to stop.
///
/// Where descriptor 0 is a listening socket, it speaks FastCGI on it; otherwise it answers one request as CGI. SIGTERM, SIGINT and
/// SIGQUIT end it after the answer in hand.
/// - Parameter readingBody: false where the handler reads the body itself, piece by piece.
public func serve(
    readingBody: Bool = true, _ handler: @escaping (Request, Database) throws -> Response
) -> Never {
    serve(readingBody: readingBody, together: 1) { requests, database, answer in
        for (number, request) in requests.enumerated() {
            answer(number, Swift.Result { try handler(request, database) })
        }
    }
}

/// As above, for an endpoint that only reads: what requests that wait for this process ask is asked in one round trip.
public func serve(_ handler: @escaping (Request) throws -> Query) -> Never {
    serveTogether { requests, database, answer in
        for (number, result) in Query.answers(to: requests, from: database, handler).enumerated() {
            answer(number, result)
        }
    }
}

/// As above, but requests that wait for this process come together, as many as `Settings.requestsTogether` allows.
public func serveTogether(_ handler: @escaping BatchHandler) -> Never {
    serve(readingBody: true, together: Settings.preparedStatements ? Settings.requestsTogether : 1, handler)
}

private func serve(readingBody: Bool, together: Int, _ handler: @escaping BatchHandler) -> Never {
    Hardening.apply()
    Settings.check()
    signal(SIGPIPE, SIG_IGN)
    var server = Server(readingBody: readingBody, together: together, handler: handler)
    if Exchange.comesAsFastCGI { server.serveFastCGI() } else { server.serveCGI() }
    exit(0)
}

/// The loop, and the requests that it holds.
private struct Server {
    let readingBody: Bool
    /// How many requests are begun together at most.
    let together: Int
    let handler: BatchHandler
    let database = Database()
    private var held: [Int32: Held] = [:]
    /// Monotonic milliseconds at which the held requests are looked at, notified or not.
    private var nextLook = 0
    /// Whether this process hears of others that need a connection: while it has one, and nothing to do.
    private var hearsRequests = false
    /// How many are held at most: each has a descriptor, and some are needed for the rest.
    private let capacity: Int = {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return min(Settings.heldRequests, max(0, Int(clamping: limit.rlim_cur) - 64))
    }()

    /// A request that waits for something to happen.
    private struct Held {
        let exchange: Exchange
        var request: Request
        let id: ID
        let owner: ID
        let began: Int
        let deadline: Int
    }

    init(readingBody: Bool, together: Int, handler: @escaping BatchHandler) {
        (self.readingBody, self.together, self.handler) = (readingBody, together, handler)
    }

    // MARK: CGI

    mutating func serveCGI() {
        begin([Exchange()])
        let poller = Poller()
        while !held.isEmpty { waitForNews(poller) }
    }

    // MARK: FastCGI

    mutating func serveFastCGI() {
        let poller = Poller()
        // Signals come as a readable descriptor and never interrupt: libfcgi would take an interrupted write for a
        // caller who has gone, and cut the answer short.
        // Debian's multiwatch sends SIGQUIT where it was told to send SIGTERM (-s TERM).
        let signals = blockedSignals([SIGTERM, SIGINT, SIGQUIT, SIGUSR1])
        Exchange.listen(poller)
        poller.watch(signals)
        Log.info("serving")
        while true {
            let ready = waitForNews(poller)
            if ready.contains(signals) { break }
            guard ready.contains(0) else { continue }
            // While one request follows another there is no need to wait; but signals and the held get a look in.
            for _ in 0..<max(1, 16 / together) {
                var exchanges: [Exchange] = []
                do {
                    while exchanges.count < together, let exchange = try Exchange.accept() {
                        exchanges.append(exchange)
                    }
                } catch {
                    // Those that were taken give theirs back first.
                    if exchanges.isEmpty { poller.pause(0) }
                }
                if exchanges.isEmpty { break }
                begin(exchanges)
            }
        }
        for descriptor in held.keys { resume(descriptor, isOver: true) }
        Log.info("stopped")
    }

    /// Waits until something is ready, and sees to the held requests; the descriptors that are ready.
    @discardableResult
    private mutating func waitForNews(_ poller: Poller) -> [Int32] {
        hearRequests(poller)
        guard !held.isEmpty else {
            let hasToGive = database.descriptor != nil || Doze.isPossible
            let ready = poller.wait(milliseconds: hasToGive ? Settings.idleSeconds * 1_000 : -1)
            if ready.isEmpty {
                database.close()
                Doze.begin()
            }
            if let requests = ConnectionSlot.requests, ready.contains(requests), ConnectionSlot.takeRequest() {
                database.yield()
            }
            _ = news(among: ready)
            return ready
        }
        listen()
        if let descriptor = database.descriptor { poller.watch(descriptor) }
        for descriptor in held.keys where descriptor >= 0 { poller.watch(descriptor, forHangUp: true) }
        let nextDeadline = held.values.reduce(nextLook) { min($0, $1.deadline) }
        let ready = poller.wait(milliseconds: max(0, nextDeadline - monotonicMilliseconds()))

        for descriptor in ready where held[descriptor] != nil { held[descriptor] = nil }
        let news = news(among: ready)
        let now = monotonicMilliseconds()
        let isTimeToLook = now >= nextLook
        // Without notifications (a pooler, a lost connection) those who wait look for themselves.
        if isTimeToLook { nextLook = now + (database.listens(to: Message.channel) ? 1_000 : 250) }
        for (descriptor, request) in held {
            if request.deadline <= now {
                resume(descriptor, isOver: true)
            } else if isTimeToLook || news.contains(request.id.text) {
                resume(descriptor, isOver: false)
            }
        }
        if held.isEmpty { stopListening() }
        return ready
    }

    private mutating func hearRequests(_ poller: Poller) {
        guard let requests = ConnectionSlot.requests else { return }
        let isIdle = held.isEmpty && database.descriptor != nil
        guard isIdle != hearsRequests else { return }
        if isIdle { poller.watch(requests, exclusively: true) } else { poller.unwatch(requests) }
        hearsRequests = isIdle
    }

    /// What Postgres has to tell, if it is among those that are ready.
    private func news(among ready: [Int32]) -> Set<String> {
        guard let descriptor = database.descriptor, ready.contains(descriptor) else { return [] }
        return Set(Message.ids(in: database.notifications()))
    }

    private mutating func listen() {
        guard !database.listens(to: Message.channel) else { return }
        do {
            guard try database.listen(to: Message.channel) else { return }
            // What happened before we listened was not heard.
            for descriptor in held.keys { resume(descriptor, isOver: false) }
        } catch {
            Log.notice("not listening", ["reason": "\(error)"])
        }
    }

    private func stopListening() {
        do { try database.unlisten() } catch { Log.notice("still listening", ["reason": "\(error)"]) }
    }

    // MARK: Requests

    private mutating func begin(_ exchanges: [Exchange]) {
        CPULimit.restart()
        let began = monotonicMilliseconds()
        var arrived: [(exchange: Exchange, request: Request)] = []
        for exchange in exchanges {
            let (request, isWhole) = read(exchange)
            if isWhole {
                arrived.append((exchange, request))
            } else {
                finish(exchange, request, response(to: request, .failure(Problem.bodyTooLarge)), began: began)
            }
        }
        var waiting: [(number: Int, wait: Response.Wait)] = []
        handler(arrived.map(\.request), database) { number, result in
            let (exchange, request) = arrived[number]
            let response = response(to: request, result)
            if let wait = response.waitsFor {
                waiting.append((number, wait))
            } else {
                finish(exchange, request, response, began: began)
            }
        }
        for (number, wait) in waiting {
            var (exchange, request) = arrived[number]
            if holdsEnough(of: wait.owner) {
                request.hasWaited = true
                finish(exchange, request, answer(request), began: began)
            } else {
                let deadline = began + wait.seconds * 1_000
                held[exchange.descriptor ?? -1] = Held(
                    exchange: exchange, request: request, id: wait.id, owner: wait.owner, began: began,
                    deadline: deadline)
            }
        }
    }

    /// Whether so many requests of this user are held that the next is answered at once.
    private func holdsEnough(of owner: ID) -> Bool {
        Settings.limits && held.values.count { $0.owner == owner } >= Settings.heldRequestsPerUser
    }

    /// The request, and whether its body is as long as may be at most.
    private func read(_ exchange: Exchange) -> (Request, isWhole: Bool) {
        let body = readingBody ? exchange.body(limit: Request.bodyLimit) : []
        var request = Request(parameter: exchange.parameter, body: body ?? [], read: exchange.read)
        request.hasWaited = held.count >= capacity
        return (request, body != nil)
    }

    /// Calls the handler again for a held request, which stays held if it still has nothing to say.
    private mutating func resume(_ descriptor: Int32, isOver: Bool) {
        guard var entry = held[descriptor] else { return }
        CPULimit.restart()
        entry.request.hasWaited = isOver
        let response = answer(entry.request)
        guard response.waitsFor == nil else { return }
        held[descriptor] = nil
        finish(entry.exchange, entry.request, response, began: entry.began)
    }

    private func finish(_ exchange: Exchange, _ request: Request, _ response: Response, began: Int) {
        if let writeBody = response.writeBody {
            let body = StreamedBody(exchange, head: response.cgi(requestID: request.id))
            body.send(writeBody, requestID: request.id)
        } else {
            exchange.send(response.head(requestID: request.id))
            exchange.send(response.body)
            exchange.end()
        }
        Log.info(
            "answered",
            [
                "request_id": request.id, "status": String(response.status),
                "milliseconds": String(monotonicMilliseconds() - began),
            ])
    }

    /// The answer to one request by itself.
    private func answer(_ request: Request) -> Response {
        var response = Problem.internalError.response(requestID: request.id)
        handler([request], database) { _, result in response = self.response(to: request, result) }
        return response
    }

    private func response(to request: Request, _ result: Swift.Result<Response, any Error>) -> Response {
        do {
            return try result.get()
        } catch {
            return Problem(telling: error, requestID: request.id).response(requestID: request.id)
        }
    }
}
