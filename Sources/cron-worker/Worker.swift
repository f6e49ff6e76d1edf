import Common
import Glibc
import Upstream

/// One thread, one loop: claim, call, store. Hundreds of calls are under way at once, and no transaction is open meanwhile.
final class Worker {
    private let gemini = Gemini()
    private let client = HTTPClient()
    private let database = Database()
    private let queue: ReplyQueue
    private let doorbell = Doorbell.listen(at: Settings.doorbell)
    private let signals = blockedSignals([SIGTERM, SIGINT, SIGQUIT])
    private let limit = Settings.number("REPLIES_IN_FLIGHT", default: 512, in: 1...10_000)
    private let attempts = Settings.number("REPLY_ATTEMPTS", default: 6, in: 1...100)
    private let lease = Settings.number("LEASE_SECONDS", default: 15, in: 2...3_600)
    private let host: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }()

    /// A reply on its way.
    private struct Call {
        let job: ReplyJob
        var stream: GeminiStream
    }
    private var calls: [ObjectIdentifier: Call] = [:]
    /// Results that Postgres has not got yet.
    private var finished: [FinishedReply] = []
    private var postponed: [(job: ReplyJob, seconds: Double)] = []

    /// Milliseconds between two looks at the queue, without a bell and with one, and between two at who waits.
    private static let (probing, claiming, waking) = (250, 4, 100)
    private var nextWake = 0
    /// The last user who had a turn.
    private var lastUser = ID.lowest
    private var nextClaim = 0
    private var lastContact = monotonicMilliseconds()
    private var nextBeat = 0
    private var rung = false

    init() {
        signal(SIGPIPE, SIG_IGN)
        queue = ReplyQueue(
            database: database, worker: Sodium.uuid(), lease: lease,
            contextTokens: Settings.number("CONTEXT_TOKENS", default: 32_000, in: 100...1_000_000))
    }

    /// Works for so long, then finishes what it has begun. Told to stop, it gives back what is not finished in 8 s.
    func run(seconds: Int) throws {
        Log.info("worker started")
        Purge.run(database)
        let end = monotonicMilliseconds() + seconds * 1_000
        while true {
            let now = monotonicMilliseconds()
            let isOpen = stop == nil && now < end
            let isIdle = calls.isEmpty && finished.isEmpty && postponed.isEmpty
            if !isOpen, isIdle { break }
            if let stop, now > stop { break }
            // Nobody to tell for longer than the lease: somebody else does it again.
            if !isOpen, now - lastContact > lease * 1_000 { break }
            step(now, isOpen: isOpen)
            wait(isOpen: isOpen)
        }
        if !calls.isEmpty { try queue.release() }
        Log.info("worker ended")
    }

    // MARK: The loop

    private func step(_ now: Int, isOpen: Bool) {
        for transfer in client.perform() { end(transfer) }
        do {
            if now >= nextBeat {
                let inHand = calls.values.map(\.job) + finished.map(\.job) + postponed.map(\.job)
                try queue.beat(host: host, pid: Int(getpid()), inHand: inHand.map(\.id))
                nextBeat = now + lease * 1_000 / 3
                lastContact = now
            }
            try store()
            if isOpen, rung || now >= nextClaim, client.count < limit { try claim(now) }
        } catch {
            // What is finished is kept and stored when Postgres is back, if the lease still holds.
            Log.error("the worker cannot reach its queue", ["reason": "\(error)"])
            nextClaim = now + 200
            rung = false
            nextBeat = max(nextBeat, now + 200)
        }
    }

    private func wait(isOpen: Bool) {
        // Replies that could not be stored wait for Postgres; a bell that rings meanwhile would only spin.
        let now = monotonicMilliseconds()
        var milliseconds = max(0, min(nextBeat - now, isOpen && client.count < limit ? nextClaim - now : 1_000))
        if !finished.isEmpty || !postponed.isEmpty { milliseconds = 200 }
        var descriptors = stop == nil ? [signals] : []
        if let doorbell, isOpen, now >= earliestClaim { descriptors.append(doorbell) }
        if isOpen, now < earliestClaim { milliseconds = min(milliseconds, earliestClaim - now) }
        let ready = client.wait(milliseconds: milliseconds, descriptors: descriptors)
        if ready.contains(signals) { stop = monotonicMilliseconds() + 8_000 }
        if let doorbell, ready.contains(doorbell) {
            Doorbell.silence(doorbell)
            rung = true
        }
    }
    /// Set when told to stop: monotonic milliseconds at which what is not finished is given back.
    private var stop: Int?
    /// Before this the bell is not listened to, so that a flood of messages is claimed in batches.
    private var earliestClaim = 0

    // MARK: Replies

    private func claim(_ now: Int) throws {
        rung = false
        let room = min(limit - client.count, 500)
        if now >= nextWake {
            try queue.wake()
            nextWake = now + Worker.waking
        }
        let jobs: [ReplyJob]
        do {
            jobs = try queue.claim(limit: room, after: lastUser)
        } catch DatabaseError.refused(_, "jobs_one_running", _) {
            jobs = []
        }
        for job in jobs { begin(job) }
        // Those before the last user have their turn when nobody is left after.
        let isRoundOver = jobs.count < room
        let wasWholeRound = lastUser == .lowest
        lastUser = isRoundOver ? .lowest : jobs.map(\.userID).max { $0.text < $1.text } ?? .lowest
        earliestClaim = now + Worker.claiming
        nextClaim = isRoundOver && wasWholeRound ? now + Worker.probing : earliestClaim
        if !jobs.isEmpty { _ = client.perform().map(end) }
    }

    private func begin(_ job: ReplyJob, stream: GeminiStream = GeminiStream()) {
        // Claimed again and again without an end: whoever had it died of it.
        guard job.attempts <= attempts, !job.history.turns.isEmpty else { return fail(job, .broken) }
        do {
            let request = try gemini.request(
                model: job.model, turns: job.history.turns, systemInstruction: job.systemInstruction,
                continuation: stream.continuation)
            guard let transfer = client.start(request) else { return postpone(job, after: 5, otherwise: .broken) }
            var stream = stream
            stream.resume()
            calls[ObjectIdentifier(transfer)] = Call(job: job, stream: stream)
        } catch {
            Log.error("reply cannot be asked for", ["message_id": job.id.text, "reason": "\(error)"])
            fail(job, .broken)
        }
    }

    private func end(_ transfer: Transfer) {
        guard var call = calls.removeValue(forKey: ObjectIdentifier(transfer)) else { return }
        call.stream.receive(transfer.take())
        call.stream.end()
        switch GeminiOutcome(call.stream, status: transfer.status, failure: transfer.failure) {
        case .answered:
            finished.append(
                FinishedReply(
                    job: call.job, text: call.stream.text.withoutNUL, failure: nil, model: call.stream.modelVersion,
                    finishReason: call.stream.finishReason, usage: call.stream.usage))
        case .unfinished: begin(call.job, stream: call.stream)
        case .retry(let seconds, let failure): postpone(call.job, after: seconds, otherwise: failure)
        case .failed(let failure): fail(call.job, failure, call.stream)
        }
    }

    /// Has a reply tried again: after the time that Gemini asked for, or after one that doubles each time (1 s to 60 s)
    /// and is spread, so that replies that failed together do not come back together.
    private func postpone(_ job: ReplyJob, after seconds: Double?, otherwise failure: Message.Failure) {
        guard job.attempts < attempts else { return fail(job, failure) }
        let backoff = min(60, Double(1 << min(job.attempts - 1, 6)))
        postponed.append((job, seconds ?? backoff * Double.random(in: 0.5...1.5)))
    }

    private func fail(_ job: ReplyJob, _ failure: Message.Failure, _ stream: GeminiStream = GeminiStream()) {
        Log.notice("reply failed", ["message_id": job.id.text, "code": failure.code])
        finished.append(
            FinishedReply(
                job: job, text: "", failure: failure, model: stream.modelVersion, finishReason: stream.finishReason,
                usage: stream.usage))
    }

    private func store() throws {
        let (replies, later) = (finished, postponed)
        do {
            // What waited in their lanes may go on.
            if !replies.isEmpty { nextClaim = 0 }
            try queue.finish(replies)
            finished = []
            try queue.postpone(later)
            postponed = []
        } catch let error as DatabaseError where !error.isTemporary && replies.count > 0 {
            // One that Postgres does not take must not hold up the others.
            Log.error("replies not stored together", ["reason": "\(error)"])
            finished = []
            for reply in replies {
                do { try queue.finish([reply]) } catch { fail(reply.job, .broken) }
            }
        }
    }
}

extension String {
    /// Postgres keeps no NUL in text.
    fileprivate var withoutNUL: String { utf8.contains(0) ? String(map { $0 == "\0" ? "\u{FFFD}" : $0 }) : self }
}
