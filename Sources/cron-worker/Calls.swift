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
    }

    private struct Call {
        let work: Work
        let route: Routes.Route
        let transfer: Transfer
        var stream: GeminiStream
        /// Monotonic milliseconds.
        let began: Int
        /// Bytes of the text that Postgres has.
        var written = 0
        /// Set when it is not known what Postgres has of it.
        var isDoubtful = false
    }

    var routes = Routes()
    private let gemini = Gemini()
    private let client: HTTPClient
    private let database: Database
    private let attempts = Settings.number("REPLY_ATTEMPTS", default: 6, in: 1...100)
    /// Seconds for which a reply waits for what Gemini holds back.
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
        guard work.job.attempts <= attempts else { return fail(work, .broken) }
        let model: String
        switch work {
        case .reply(let reply):
            guard !reply.conversation.turns.isEmpty else { return fail(work, .broken) }
            model = reply.model
        case .chore(let chore):
            guard chore.prompt != nil else { return fail(work, .broken) }
            model = chore.model
        }
        switch routes.way(for: model, attempt: work.job.attempts) {
        case .open(let route): start(work, route, GeminiStream())
        case .closed(let seconds, let failure):
            // Only what passes by itself is worth waiting for.
            guard failure.code == Message.Failure.busy.code, work.job.waited + seconds < Double(patience) else {
                return fail(work, failure)
            }
            postponed.append(
                .init(job: work.job, seconds: seconds + Double.random(in: 0...min(1, seconds / 4)), counts: false))
        }
    }

    private mutating func start(_ work: Work, _ route: Routes.Route, _ stream: GeminiStream, after call: Call? = nil) {
        do {
            let request =
                switch work {
                case .reply(let reply):
                    try gemini.request(
                        model: route.model, key: routes.keys[route.key],
                        turns: reply.conversation.turns.map { $0.sent(by: reply.job.userID, from: database) },
                        systemInstruction: reply.instruction, outputTokens: reply.plan.outputTokens,
                        continuation: stream.continuation)
                case .chore(let chore):
                    try gemini.request(
                        model: route.model, key: routes.keys[route.key],
                        turns: [.init(role: "user", content: chore.prompt ?? "")], systemInstruction: chore.instruction,
                        continuation: stream.continuation)
                }
            guard let transfer = client.start(request) else { return postpone(work, after: 5, otherwise: .broken) }
            var stream = stream
            stream.resume()
            calls[ObjectIdentifier(transfer)] = Call(
                work: work, route: route, transfer: transfer, stream: stream,
                began: call?.began ?? monotonicMilliseconds(), written: call?.written ?? 0,
                isDoubtful: call?.isDoubtful ?? false)
            if case .chore = work { choreCount += 1 }
        } catch {
            Log.error("reply cannot be asked for", ["job_id": work.job.id.text, "reason": "\(error)"])
            fail(work, .broken)
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
            if let call = calls[key], case .reply = call.work, call.stream.text.utf8.count > call.written {
                news.insert(key)
            }
        }
        for transfer in ended { end(transfer) }
    }

    private mutating func end(_ transfer: Transfer) {
        guard var call = remove(ObjectIdentifier(transfer)) else { return }
        call.stream.end()
        switch GeminiOutcome(call.stream, status: transfer.status, failure: transfer.failure) {
        case .answered: succeed(call)
        case .unfinished: start(call.work, call.route, call.stream, after: call)
        case .retry(let seconds, let failure): postpone(call.work, after: seconds, otherwise: failure)
        case .held(let what, let seconds, let failure):
            routes.hold(what, call.route, seconds: seconds, because: failure, in: database)
            // Another way may be open; if not, it is known by now for how long. What a reader has seen is of this attempt.
            if call.written > 0 || call.isDoubtful {
                postpone(call.work, after: 0, otherwise: failure)
            } else {
                begin(call.work)
            }
        case .failed(let failure): fail(call.work, failure, call.stream)
        }
    }

    private mutating func succeed(_ call: Call) {
        routes.succeeded(call.route)
        switch call.work {
        case .reply(let reply):
            finished.append(FinishedReply(reply: reply, text: call.stream.text, failure: nil, stream: call.stream))
            let old = times[reply.model] ?? (0, 0)
            times[reply.model] = (old.sum + monotonicMilliseconds() - call.began, old.count + 1)
        case .chore(let chore): finishedChores.append((chore, call.stream.text, call.stream))
        }
    }

    /// Has it tried again: after the time that Gemini asked for, or after one that doubles each time (1 s to 60 s) and is
    /// spread, so that replies that failed together do not come back together.
    private mutating func postpone(_ work: Work, after seconds: Double?, otherwise failure: Message.Failure) {
        let limit = if case .chore = work { min(attempts, Calls.choreAttempts) } else { attempts }
        guard work.job.attempts < limit else { return fail(work, failure) }
        let backoff = min(60, Double(1 << min(work.job.attempts - 1, 6)))
        postponed.append(
            .init(job: work.job, seconds: seconds ?? backoff * Double.random(in: 0.5...1.5), counts: true))
    }

    private mutating func fail(_ work: Work, _ failure: Message.Failure, _ stream: GeminiStream = GeminiStream()) {
        switch work {
        case .reply(let reply):
            Log.notice("reply failed", ["message_id": reply.job.id.text, "code": failure.code])
            finished.append(FinishedReply(reply: reply, text: "", failure: failure, stream: stream))
        case .chore(let chore):
            Log.notice(
                "chore given up", ["kind": chore.kind, "chatroom_id": chore.chatroomID.text, "code": failure.code])
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
                job: call.work.job, start: start, text: String(call.stream.text.utf8.dropFirst(start)) ?? "")
        }
        // Until it is known that they have come, they may or may not have.
        for (key, _) in written { calls[key]?.isDoubtful = true }
        try queue.write(deltas, anew: written.filter(\.1.isDoubtful).map(\.1.work.job))
        for (key, call) in written {
            calls[key]?.isDoubtful = false
            calls[key]?.written = call.stream.text.utf8.count
        }
        news = []
    }

    /// Stores the results.
    mutating func store(_ queue: ReplyQueue, _ chores: Chores) throws {
        let replies = finished
        do {
            try queue.finish(replies)
            ended.count(replies)
            finished = []
        } catch let error as DatabaseError where error.isOfValues {
            // One that Postgres does not take must not hold up the others.
            Log.error("replies not stored together", ["reason": "\(error)"])
            finished = []
            for reply in replies {
                do {
                    try queue.finish([reply])
                    ended.count([reply])
                } catch let error as DatabaseError where error.isOfValues {
                    fail(.reply(reply.reply), .broken)
                } catch {
                    finished.append(reply)
                }
            }
        }
        try queue.postpone(postponed)
        postponed = []
        try chores.queue(after: replies)
        try chores.finish(finishedChores)
        finishedChores = []
        try chores.drop(dropped)
        dropped = []
    }
}
