import Common
import Upstream

/// The calls to Gemini that are under way, and what has come of them.
struct Calls {
    /// What a call is made for.
    enum Work {
        case reply(ReplyJob)
        case chore(Chore)

        var job: Job {
            switch self {
            case .reply(let reply): reply.job
            case .chore(let chore): chore.job
            }
        }

        /// The text that a reply continues.
        var begun: String { if case .reply(let reply) = self { reply.begun } else { "" } }
    }

    private struct Call {
        let work: Work
        let route: Routes.Route
        let transfer: Transfer
        var stream: GeminiStream
        /// Monotonic milliseconds: when it began, and when the first call for the same text did.
        let began: Int
        let first: Int
        /// Whether it is known that Gemini takes it.
        var isAccepted = false
        /// Bytes of the text that Postgres has.
        var written = 0
        /// Set when it is not known what Postgres has of it.
        var isDoubtful = false

        /// All of the reply's text so far: what it continues, and what has come.
        var text: String { work.begun + stream.text }
        var hasNews: Bool { !stream.text.isEmpty && work.begun.utf8.count + stream.text.utf8.count > written }
    }

    var routes: Routes
    private let gemini = Gemini()
    private let client: HTTPClient
    private let database: Database
    private let attempts = Settings.number("REPLY_ATTEMPTS", default: 6, in: 1...100)
    /// Seconds for which a reply waits for what Gemini holds back, from the first refusal.
    private let patience = Settings.number("REPLY_PATIENCE_SECONDS", default: 900, in: 1...86_400)
    private static let choreAttempts = 4

    private var calls: [ObjectIdentifier: Call] = [:]
    /// Replies with text that Postgres has not got yet.
    private var news: Set<ObjectIdentifier> = []
    /// Results that Postgres has not got yet.
    private var finished: [FinishedReply] = []
    private var finishedChores: [(chore: Chore, text: String, stream: GeminiStream)] = []
    private var dropped: [Chore] = []
    private var postponed: [ReplyQueue.Postponed] = []
    /// Milliseconds that replies took, by model.
    private var times: [String: (sum: Int, count: Int)] = [:]
    private(set) var choreCount = 0
    /// How many replies were stored.
    private(set) var ended = Tally()

    init(client: HTTPClient, database: Database) {
        self.client = client
        self.database = database
        routes = Routes(database)
    }

    var count: Int { calls.count }
    var hasNews: Bool { !news.isEmpty }
    /// Whether there are results to be stored.
    var hasEnded: Bool { !finished.isEmpty || !postponed.isEmpty || !finishedChores.isEmpty || !dropped.isEmpty }
    var isEmpty: Bool { calls.isEmpty && !hasEnded }
    /// Every job that is in hand, its result not yet stored.
    var jobs: [Job] {
        calls.values.map(\.work.job) + finished.map(\.job) + postponed.map(\.job) + finishedChores.map(\.chore.job)
            + dropped.map(\.job)
    }
    /// Those of which a reader may have seen something.
    var begun: [Job] { calls.values.filter { $0.written > 0 || $0.isDoubtful }.map(\.work.job) }

    /// How long replies took since the last call, on average and in milliseconds, by model.
    mutating func takeTimes() -> [String: Double] {
        defer { times = [:] }
        return times.mapValues { Double($0.sum) / Double($0.count) }
    }

    // MARK: A call

    /// Calls Gemini, if a way is open.
    mutating func begin(_ work: Work) {
        // Claimed again and again without an end: whoever had it died of it.
        guard work.job.attempts <= attempts else { return fail(work, .broken, "claimed too often without an end") }
        let model: String
        switch work {
        case .reply(let reply):
            guard !reply.conversation.turns.isEmpty else { return fail(work, .broken, "nothing to answer") }
            model = reply.model
        case .chore(let chore):
            guard chore.prompt != nil else { return fail(work, .broken, "nothing left to do") }
            model = chore.model
        }
        switch routes.way(for: model, attempt: work.job.attempts) {
        case .open(let route): start(work, route, GeminiStream())
        case .closed(let seconds, let failure):
            let pause = seconds + Double.random(in: 0...min(1, seconds / 4))
            // Only what passes by itself is worth waiting for.
            guard failure.code == Message.Failure.busy.code, work.job.waited + pause < Double(patience) else {
                return fail(work, failure, "held back, and it has waited for \(Int(work.job.waited)) s")
            }
            postponed.append(.init(job: work.job, seconds: pause, counts: false, partialText: ""))
        }
    }

    private mutating func start(_ work: Work, _ route: Routes.Route, _ stream: GeminiStream, after call: Call? = nil) {
        do {
            let request =
                switch work {
                case .reply(let reply):
                    try gemini.request(
                        model: route.model, key: routes.keys[route.key],
                        turns: reply.turns(from: database), systemInstruction: reply.instruction,
                        outputTokens: reply.plan.outputTokens,
                        continuation: stream.continuation)
                case .chore(let chore):
                    try gemini.request(
                        model: route.model, key: routes.keys[route.key],
                        turns: [.init(role: "user", content: chore.prompt ?? "")], systemInstruction: chore.instruction,
                        continuation: stream.continuation)
                }
            guard let transfer = client.start(request) else {
                return postpone(work, after: 5, otherwise: .broken, "no memory for a call", stream)
            }
            var stream = stream
            stream.resume()
            let now = monotonicMilliseconds()
            calls[ObjectIdentifier(transfer)] = Call(
                work: work, route: route, transfer: transfer, stream: stream, began: now, first: call?.first ?? now,
                written: call?.written ?? 0, isDoubtful: call?.isDoubtful ?? false)
            routes.begin()
            if case .chore = work { choreCount += 1 }
        } catch {
            fail(work, .broken, "it cannot be asked for: \(error)", stream)
        }
    }

    private mutating func remove(_ key: ObjectIdentifier) -> Call? {
        guard let call = calls.removeValue(forKey: key) else { return nil }
        news.remove(key)
        if case .chore = call.work { choreCount -= 1 }
        return call
    }

    /// Takes what has come of calls, and those that have ended.
    mutating func advance(arrived: [Transfer], ended: [Transfer]) {
        for transfer in arrived {
            let key = ObjectIdentifier(transfer)
            guard calls[key] != nil else { continue }
            calls[key]?.stream.receive(transfer.take())
            accept(key)
            if let call = calls[key], case .reply = call.work, call.hasNews {
                news.insert(key)
            }
        }
        for transfer in ended { end(transfer) }
    }

    /// Learns from the first word of an answer that its way is open.
    private mutating func accept(_ key: ObjectIdentifier) {
        guard let call = calls[key], !call.isAccepted, call.stream.hasBegun, call.stream.error == nil else { return }
        calls[key]?.isAccepted = true
        routes.accept(call.route, began: call.began)
    }

    private mutating func end(_ transfer: Transfer) {
        calls[ObjectIdentifier(transfer)]?.stream.end()
        accept(ObjectIdentifier(transfer))
        guard let call = remove(ObjectIdentifier(transfer)) else { return }
        let cause = GeminiOutcome.cause(call.stream, transfer)
        switch GeminiOutcome(call.stream, transfer) {
        case .answered: succeed(call)
        case .unfinished: start(call.work, call.route, call.stream, after: call)
        case .retry(let seconds, let failure):
            postpone(call.work, after: seconds, otherwise: failure, cause, call.stream)
        case .held(let what, let seconds, let failure):
            routes.hold(what, call.route, seconds: seconds, because: failure, began: call.began)
            // Another way may be open; if not, it is known by now for how long. What a reader has seen is of this attempt.
            if call.stream.text.isEmpty, !call.isDoubtful {
                begin(call.work)
            } else {
                postpone(call.work, after: nil, otherwise: failure, cause, call.stream)
            }
        case .failed(let failure): fail(call.work, failure, cause, call.stream)
        }
    }

    private mutating func succeed(_ call: Call) {
        switch call.work {
        case .reply(let reply):
            finished.append(FinishedReply(reply: reply, text: call.text, failure: nil, stream: call.stream))
            let old = times[reply.model] ?? (0, 0)
            times[reply.model] = (old.sum + monotonicMilliseconds() - call.first, old.count + 1)
        case .chore(let chore): finishedChores.append((chore, call.stream.text, call.stream))
        }
    }

    /// Has it tried again: after the time that Gemini asked for, but not before one that doubles each time (1 s to 60 s) and is
    /// spread, so that replies that failed together do not come back together.
    private mutating func postpone(
        _ work: Work, after seconds: Double?, otherwise failure: Message.Failure, _ cause: String,
        _ stream: GeminiStream
    ) {
        let limit = if case .chore = work { min(attempts, Calls.choreAttempts) } else { attempts }
        let backoff = min(60, Double(1 << min(work.job.attempts - 1, 6))) * Double.random(in: 0.5...1.5)
        let pause = max(seconds ?? 0, backoff)
        guard work.job.attempts < limit, pause <= Double(max(patience, 90)) else {
            return fail(work, failure, cause, stream)
        }
        postponed.append(
            .init(
                job: work.job, seconds: pause, counts: true,
                partialText: stream.hasText ? work.begun + stream.text : ""))
    }

    private mutating func fail(
        _ work: Work, _ failure: Message.Failure, _ cause: String, _ stream: GeminiStream = GeminiStream()
    ) {
        switch work {
        case .reply(let reply):
            Log.notice("reply failed", ["message_id": reply.job.id.text, "code": failure.code, "reason": cause])
            let text = failure.keepsPartialText && stream.hasText ? reply.begun + stream.text : reply.begun
            finished.append(FinishedReply(reply: reply, text: text, failure: failure, stream: stream))
        case .chore(let chore):
            Log.notice(
                "chore given up",
                [
                    "kind": chore.kind, "chatroom_id": chore.chatroomID.text, "code": failure.code, "reason": cause,
                ])
            dropped.append(chore)
        }
    }

    /// Ends the calls for these jobs at once: nobody wants to hear of them any more.
    mutating func drop(_ jobs: Set<ID>) {
        guard !jobs.isEmpty else { return }
        for (key, call) in calls where jobs.contains(call.work.job.id) {
            client.cancel(call.transfer)
            _ = remove(key)
        }
    }

    // MARK: Postgres

    /// Writes the text that has come since the last time.
    mutating func write(_ queue: ReplyQueue) throws {
        let written = news.compactMap { key in calls[key].map { (key, $0) } }
        let deltas = written.map { _, call in
            let start = call.isDoubtful ? 0 : call.written
            return ReplyQueue.Delta(
                job: call.work.job, start: start, text: String(call.text.utf8.dropFirst(start)) ?? "")
        }
        // Until it is known that they have come, they may or may not have.
        for (key, _) in written { calls[key]?.isDoubtful = true }
        var left = deltas
        let doubtful = Set(written.filter(\.1.isDoubtful).map(\.1.work.job.id))
        for delta in try Calls.store(
            &left, { try queue.write($0, anew: $0.map(\.job).filter { doubtful.contains($0.id) }) })
        {
            Log.error("text that Postgres does not take", ["message_id": delta.job.id.text])
        }
        for (key, call) in written {
            calls[key]?.isDoubtful = false
            calls[key]?.written = call.text.utf8.count
        }
        news = []
    }

    /// Stores the results. What Postgres does not take must not hold up the rest.
    mutating func store(_ queue: ReplyQueue, _ chores: Chores) throws {
        let replies = finished
        for reply in try finish(queue) { fail(.reply(reply.reply), .broken, "Postgres does not take it") }
        for refused in try Calls.store(&postponed, { try queue.postpone($0) }) {
            Log.error("a job cannot be put back", ["job_id": refused.job.id.text])
        }
        try chores.queue(after: replies)
        dropped += try Calls.store(&finishedChores) { try chores.finish($0) }.map(\.chore)
        try chores.drop(dropped)
        dropped = []
    }

    /// Stores the results of replies; those that Postgres refuses.
    private mutating func finish(_ queue: ReplyQueue) throws -> [FinishedReply] {
        var (left, tally) = (finished, ended)
        defer { (finished, ended) = (left, tally) }
        return try Calls.store(&left) {
            try queue.finish($0)
            tally.count($0)
        }
    }

    /// Stores items together, or one by one where the values of one are what Postgres refuses; those that it refuses.
    private static func store<Item>(_ items: inout [Item], _ write: ([Item]) throws -> Void) throws -> [Item] {
        do {
            try write(items)
            items = []
            return []
        } catch let error as DatabaseError where error.isOfValues {
            Log.error("results not stored together", ["reason": "\(error)"])
        }
        var refused: [Item] = []
        while let item = items.first {
            do { try write([item]) } catch let error as DatabaseError where error.isOfValues { refused.append(item) }
            items.removeFirst()
        }
        return refused
    }
}
