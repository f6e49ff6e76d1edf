import Common
import Glibc

/// Holds all streams in one loop that waits for nobody: not for a reader who is slow, and for Postgres only while a statement
/// runs.
final class StreamServer {
    private let replies = Replies()
    private let poller = Poller()
    private let limit: Int
    private let limitPerUser: Int
    private let heartbeat = Settings.number("STREAM_HEARTBEAT_SECONDS", default: 15, in: 1...3_600) * 1_000

    private var streams: [Int32: ReplyStream] = [:]
    /// How many streams each user has.
    private var counts: [ID: Int] = [:]
    /// The streams of each reply, by its id as notifications carry it.
    private var readers: [String: Set<Int32>] = [:]
    /// Streams that there may be news for; those that have heard nothing for long; those whose reply is finished.
    private var due: Set<Int32> = []
    private var quiet: Set<Int32> = []
    private var ending: Set<Int32> = []
    /// Bytes that wait for slow readers.
    private var unsent = 0
    /// Monotonic milliseconds of what comes next: a look at all streams, notified or not; a statement for those that are due.
    private var (nextLook, nextNews) = (0, 0)

    /// Milliseconds between two statements for news, so that a flood of notifications shares them.
    private static let pace = 10
    /// Bytes that may wait for slow readers, all together.
    private static let mostUnsent = 32 << 20
    private static let full = Problem(
        503, "too_many_streams", "There are as many streams here as there can be.", headers: [("Retry-After", "5")])
    private static let fullForUser = Problem(
        429, "stream_limit_reached", "You have reached the limit of open streams; close one first.",
        headers: [("Retry-After", "5")])

    init() {
        Hardening.apply()
        Settings.check()
        signal(SIGPIPE, SIG_IGN)
        limit = min(Settings.number("STREAMS", default: 10_000, in: 1...1_000_000), descriptorLimit() - 64)
        let perUser = Settings.number("STREAMS_PER_USER", default: 20, in: 1...1_000_000)
        limitPerUser = Settings.limits ? perUser : .max
    }

    /// Serves until the process is told to stop; as CGI, the one request.
    func run() {
        guard Exchange.comesAsFastCGI else {
            begin(Exchange())
            while !streams.isEmpty { _ = turn() }
            return
        }
        let signals = blockedSignals([SIGTERM, SIGINT, SIGQUIT, SIGUSR1])
        Exchange.listen(poller)
        poller.watch(signals)
        Log.info("serving")
        while true {
            let ready = turn()
            if ready.contains(signals) { break }
            guard ready.contains(0) else { continue }
            do {
                for _ in 0..<64 {
                    guard let exchange = try Exchange.accept() else { break }
                    begin(exchange)
                }
            } catch {
                poller.pause(0)
            }
        }
        stop()
    }

    /// Ends all streams, so that their readers come back to another process; who does not take it within a second is cut off.
    private func stop() {
        for stream in streams.values {
            stream.connection.end()
            settle(stream)
        }
        let deadline = monotonicMilliseconds() + 1_000
        while !streams.isEmpty, monotonicMilliseconds() < deadline {
            attend(poller.events(within: deadline - monotonicMilliseconds()))
        }
        Log.info("stopped")
    }

    // MARK: The loop

    /// Waits until there is something to do, and does it; the descriptors that are ready.
    private func turn() -> [Int32] {
        let events = poller.events(within: patience())
        CPULimit.restart()
        if events.isEmpty, streams.isEmpty {
            replies.close()
            Doze.begin()
        }
        attend(events)
        hear()
        listen()
        let now = monotonicMilliseconds()
        if now >= nextLook, !streams.isEmpty {
            look(now)
            beat(now)
        }
        if now >= nextNews { sendNews(now) }
        sendEndings()
        hear()  // what came while a statement ran
        return events.map(\.descriptor)
    }

    /// How long there is nothing to do, in milliseconds.
    private func patience() -> Int {
        guard !streams.isEmpty else {
            return replies.descriptor == nil && !Doze.isPossible ? -1 : Settings.idleSeconds * 1_000
        }
        var next = nextLook
        if !due.isEmpty || !quiet.isEmpty { next = nextNews }
        if !ending.isEmpty { next = 0 }
        return max(0, min(nextLook, max(next, replies.nextContact)) - monotonicMilliseconds())
    }

    private func attend(_ events: [(descriptor: Int32, hasHungUp: Bool)]) {
        for event in events {
            guard let stream = streams[event.descriptor] else { continue }
            if event.hasHungUp { remove(stream) } else { settle(stream) }
        }
    }

    /// Listens while there are streams.
    private func listen() {
        if streams.isEmpty {
            replies.unlisten()
        } else if replies.listen() {
            // What happened before was not heard.
            streams.values.forEach(want)
        }
        if let descriptor = replies.descriptor { poller.watch(descriptor) }
    }

    private func hear() {
        for id in replies.notifications() {
            for descriptor in readers[id] ?? [] { streams[descriptor].map(want) }
        }
    }

    /// Has those looked at that got no news for long; without notifications (a pooler, a lost connection), all.
    private func look(_ now: Int) {
        for stream in streams.values where stream.isDrained && (!replies.isListening || now - stream.lastLook >= 900) {
            quiet.insert(stream.descriptor)
        }
        nextLook = now + (replies.isListening ? 1_000 : 250)
    }

    /// Has a stream looked at soon: while its reader has not taken what was sent, nothing more is fetched.
    private func want(_ stream: ReplyStream) {
        if stream.isDrained { due.insert(stream.descriptor) } else { stream.isBehind = true }
    }

    private func sendNews(_ now: Int) {
        // The quiet ones come in between, a few at a time: nobody with news waits for a look at all the others.
        let some = quiet.prefix(due.isEmpty ? 250 : 100)
        let batch = Set(due.prefix(1_000)).union(some).compactMap { streams[$0] }
        guard !batch.isEmpty, let news = replies.news(of: batch) else { return }
        for stream in batch {
            if due.remove(stream.descriptor) != nil { nextNews = now + StreamServer.pace }
            quiet.remove(stream.descriptor)
            stream.lastLook = now
        }
        if !due.isEmpty { nextNews = 0 }
        for piece in news {
            guard let stream = streams[Int32(piece.descriptor)] else { continue }
            if let text = piece.text, let attempt = piece.attempt, let start = piece.start {
                stream.take(text, attempt: attempt, start: start)
                if piece.isPartial { stream.isBehind = true }
            } else if piece.status == nil {
                stream.connection.end()
            } else {
                ending.insert(stream.descriptor)
            }
        }
        for descriptor in Set(news.map { Int32($0.descriptor) }) { streams[descriptor].map(settle) }
    }

    /// A few at a time, for the whole of each reply is fetched.
    private func sendEndings() {
        let batch = ending.prefix(32).compactMap { streams[$0] }
        guard !batch.isEmpty, let finished = replies.finished(for: batch) else { return }
        for stream in batch { ending.remove(stream.descriptor) }
        for reply in finished {
            guard let stream = streams[Int32(reply.descriptor)] else { continue }
            stream.finish(reply)
            settle(stream)
        }
    }

    /// Comments for those whose turn it is, and the end for those whose session or room is no more.
    private func beat(_ now: Int) {
        let turn = streams.values.filter { $0.nextBeat <= now }
        guard !turn.isEmpty else { return }
        for stream in turn {
            stream.nextBeat = now + heartbeat
            stream.beat()
            settle(stream)
        }
        for descriptor in replies.orphans(among: turn) ?? [] {
            guard let stream = streams[Int32(descriptor)] else { continue }
            stream.connection.end()
            settle(stream)
        }
    }

    // MARK: A stream

    private func begin(_ exchange: Exchange) {
        CPULimit.restart()
        let request = exchange.request
        do {
            let reader = try Reader(request)
            guard streams.count < limit else { throw StreamServer.full }
            guard counts[reader.caller.user] ?? 0 < limitPerUser else { throw StreamServer.fullForUser }
            try replies.check(reader)
            let stream = ReplyStream(reader, exchange.detach(), heartbeat: heartbeat)
            streams[stream.descriptor] = stream
            counts[reader.caller.user, default: 0] += 1
            readers[reader.message.text, default: []].insert(stream.descriptor)
            poller.watch(stream.descriptor, forHangUp: true)
            stream.isBehind = true
            settle(stream)
        } catch {
            let problem = Problem(telling: error, requestID: request.id)
            let connection = exchange.detach()
            connection.write(problem.response(requestID: request.id).cgi(requestID: request.id))
            connection.end()
            connection.flush()
            Log.info("answered", ["request_id": request.id, "status": String(problem.status)])
        }
    }

    /// Sends what the reader takes, and sees to what follows from it.
    private func settle(_ stream: ReplyStream) {
        guard streams[stream.descriptor] === stream else { return }
        let connection = stream.connection
        connection.flush()
        unsent += connection.unsentCount - stream.counted
        stream.counted = connection.unsentCount
        let isBlocked = connection.unsentCount > 0
        if connection.isBroken || connection.hasEnded && !isBlocked { return remove(stream) }
        if isBlocked != stream.waitsForRoom {
            stream.waitsForRoom = isBlocked
            poller.watch(stream.descriptor, forRoom: isBlocked)
        }
        if stream.isBehind, stream.isDrained {
            stream.isBehind = false
            due.insert(stream.descriptor)
        }
        // Whoever is cut off here comes back for the rest.
        if unsent > StreamServer.mostUnsent, let last = streams.values.max(by: { $0.counted < $1.counted }) {
            Log.notice("stream cut off", ["request_id": last.reader.requestID, "unsent": String(last.counted)])
            remove(last)
        }
    }

    private func remove(_ stream: ReplyStream) {
        let (descriptor, message) = (stream.descriptor, stream.reader.message.text)
        streams[descriptor] = nil
        let user = stream.reader.caller.user
        counts[user] = counts[user].flatMap { $0 > 1 ? $0 - 1 : nil }
        unsent -= stream.counted
        readers[message]?.remove(descriptor)
        if readers[message]?.isEmpty == true { readers[message] = nil }
        due.remove(descriptor)
        quiet.remove(descriptor)
        ending.remove(descriptor)
        let milliseconds = String(monotonicMilliseconds() - stream.began)
        Log.info("stream ended", ["request_id": stream.reader.requestID, "milliseconds": milliseconds])
    }
}

/// How many descriptors this process may have: as many as it may allow itself.
private func descriptorLimit() -> Int {
    var limits = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
    limits.rlim_cur = limits.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
    return Int(clamping: limits.rlim_max)
}
