import Common
import Glibc
import Upstream

/// One thread, one loop: claim, call, store. Hundreds of calls are under way at once, and no transaction is open meanwhile.
final class Worker {
    private let client = HTTPClient()
    private let database = Database()
    private let queue: ReplyQueue
    private let chores: Chores
    private var deliveries: Deliveries
    private let upkeep = Upkeep()
    private var billing: Billing
    private let doorbell = Doorbell.listen(at: Settings.doorbell)
    private let signals = blockedSignals([SIGTERM, SIGINT, SIGQUIT])
    private let limit = Settings.number("REPLIES_IN_FLIGHT", default: 512, in: 1...10_000)
    private let lease = Settings.number("LEASE_SECONDS", default: 15, in: 2...3_600)
    private let host: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }()
    private var calls: Calls

    /// Milliseconds between two looks at the queue, without a bell and with one, between two at who waits, and between two
    /// writes of what came.
    private static let (probing, claiming, waking, writing) = (250, 4, 100, 20)
    /// Chores at once; a worker half full does none.
    private static let chores = 16
    /// Chores that are claimed together: a long conversation has megabytes.
    private var choreBatch = Batch(from: 2, most: Worker.chores)

    /// Monotonic milliseconds.
    private var nextClaim = 0
    private var nextWake = 0
    private var nextWrite = 0
    private var nextBeat = 0
    private var nextLook = 0
    /// When Postgres is asked again after it was away.
    private var nextContact = 0
    /// When codes to be sent, and what is to be asked of Stripe, are looked for at the latest.
    private var nextDelivery = 0
    /// Before this the bell is not listened to, so that a flood of messages is claimed in batches.
    private var earliestClaim = 0
    /// How often in a row the bell rang for nothing: messages came whose rooms have a reply under way.
    private var fruitless = 0
    private var lastContact = monotonicMilliseconds()
    private var rung = false
    /// Set when told to stop: when what is not finished is given back.
    private var stop: Int?
    /// The last user who had a turn.
    private var lastUser = ID.lowest

    init() {
        signal(SIGPIPE, SIG_IGN)
        queue = ReplyQueue(database: database, worker: Sodium.uuid(), lease: lease, budget: ContextBudget())
        chores = Chores(queue: queue)
        deliveries = Deliveries(queue: queue, client: client)
        billing = Billing(queue: queue, client: client)
        calls = Calls(client: client, database: database)
    }

    /// Works for so long, then finishes what it has begun. Told to stop, it gives back what is not finished in 8 s.
    func run(seconds: Int) throws {
        Log.info("worker started")
        upkeep.start()
        do { try calls.routes.recall() } catch {
            Log.notice("what other workers saw is not known", ["reason": "\(error)"])
        }
        do { try billing.begin() } catch { Log.error("subscriptions are not compared", ["reason": "\(error)"]) }
        let end = monotonicMilliseconds() + seconds * 1_000
        while true {
            let now = monotonicMilliseconds()
            let isOpen = stop == nil && now < end
            if !isOpen, calls.isEmpty, deliveries.isEmpty, billing.isEmpty { break }
            if let stop, now > stop { break }
            // Nobody to tell for longer than the lease: somebody else does it again.
            if !isOpen, now - lastContact > lease * 1_000 { break }
            if !isOpen { upkeep.stop() }
            step(now, isOpen: isOpen)
            wait(isOpen: isOpen)
        }
        let begun = calls.begun + deliveries.jobs
        if !calls.isEmpty || !deliveries.isEmpty || !billing.isEmpty { try queue.release(begun: begun) }
        // What was stored since the last time is counted too; if not, no reply is the worse for it.
        do { try beat() } catch { Log.notice("the last replies are not counted", ["reason": "\(error)"]) }
        upkeep.stop()
        upkeep.wait()
        Log.info("worker ended")
    }

    private func beat() throws {
        let inHand = calls.jobs + deliveries.jobs + billing.jobs
        try queue.beat(host: host, pid: Int(getpid()), inHand: inHand, ended: calls.ended)
    }

    /// Moves all exchanges on.
    private func perform() {
        let ended = client.perform()
        calls.advance(arrived: client.takeArrived(), ended: ended)
        deliveries.end(ended)
        billing.end(ended)
    }

    private func step(_ now: Int, isOpen: Bool) {
        perform()
        guard now >= nextContact else { return }
        do {
            try hear(now)
            if now >= nextBeat {
                try beat()
                try queue.record(times: calls.takeTimes())
                try calls.routes.learn()
                nextBeat = now + lease * 1_000 / 3
                lastContact = now
            }
            // What waited in their lanes may go on.
            if calls.hasEnded { nextClaim = 0 }
            try calls.store(queue, chores)
            try deliveries.store()
            try billing.store()
            // Codes are rare and urgent, as is who has paid: before all else, and however many replies are under way.
            if isOpen, now >= nextDelivery || rung && now >= nextDelivery - Worker.probing + Worker.writing {
                try deliveries.claim()
                try billing.claim()
                nextDelivery = now + Worker.probing
            }
            if calls.hasNews, now >= nextWrite {
                nextWrite = now + Worker.writing
                try calls.write(queue)
            }
            if isOpen, rung || now >= nextClaim, calls.count < limit { try claim(now) }
            upkeep.note(isBusy: !calls.isEmpty)
        } catch {
            // What is finished is kept and stored when Postgres is back, if the lease still holds.
            Log.error("the worker cannot reach its queue", ["reason": "\(error)"])
            nextContact = now + 200
            rung = false
        }
    }

    private func wait(isOpen: Bool) {
        let now = monotonicMilliseconds()
        var next = min(nextBeat, nextLook)
        if isOpen, calls.count < limit { next = min(next, now < earliestClaim ? earliestClaim : nextClaim) }
        if calls.hasNews { next = min(next, nextWrite) }
        if isOpen, deliveries.isOpen || billing.isOpen { next = min(next, nextDelivery) }
        if calls.hasEnded || deliveries.hasEnded || billing.hasEnded { next = now }
        // Without Postgres there is nothing to do for it; a bell that rings meanwhile would only spin.
        let milliseconds = max(0, max(next, nextContact) - now)
        var descriptors = stop == nil ? [signals] : []
        if now >= nextContact {
            if let connection = database.descriptor { descriptors.append(connection) }
            if let doorbell, isOpen, now >= earliestClaim { descriptors.append(doorbell) }
        }
        let ready = client.wait(milliseconds: milliseconds, descriptors: descriptors)
        if ready.contains(signals) { stop = monotonicMilliseconds() + 8_000 }
        if let doorbell, ready.contains(doorbell) {
            Doorbell.silence(doorbell)
            rung = true
        }
    }

    /// Hears what was cancelled and what is held back. Where notifications can't be had, it looks for itself.
    private func hear(_ now: Int) throws {
        if !database.listens(to: "cancelled"), try database.listen(to: "cancelled") {
            try database.listen(to: "holds")
            nextLook = 0
        }
        for notification in database.notifications() {
            switch notification.channel {
            case "cancelled": if let id = ID(notification.payload) { calls.drop([id]) }
            case "holds": try calls.routes.learn()
            default: break
            }
        }
        if now >= nextLook {
            if !calls.isEmpty { calls.drop(try queue.lost(of: calls.jobs)) }
            nextLook = now + (database.listens(to: "cancelled") ? 5_000 : 200)
        }
    }

    private func claim(_ now: Int) throws {
        let open = calls.routes.slowStart.room(now)
        guard open > 0 else {
            nextClaim = now + Worker.writing
            return
        }
        let wasRung = rung
        rung = false
        if now >= nextWake {
            try queue.wake()
            nextWake = now + Worker.waking
        }
        // In batches, so that those of a long queue do not all end, and wait for each other to be stored, at once.
        let room = min(limit - calls.count, 100, open)
        let replies: [ReplyJob]
        do {
            replies = try queue.claim(limit: room, after: lastUser, permits: calls.routes.permits)
        } catch DatabaseError.refused(_, "jobs_one_running", _) {
            replies = []
        }
        for reply in replies { calls.begin(.reply(reply)) }
        // Those before the last user have their turn when nobody is left after.
        let isRoundOver = replies.count < room
        let wasWholeRound = lastUser == .lowest
        lastUser = isRoundOver ? .lowest : replies.map(\.job.userID).max { $0.text < $1.text } ?? .lowest
        fruitless = wasRung && replies.isEmpty ? min(fruitless + 1, 4) : 0
        earliestClaim = now + Worker.claiming * max(1, fruitless)
        nextClaim = isRoundOver && wasWholeRound ? now + Worker.probing : earliestClaim
        if replies.isEmpty, wasWholeRound { try claimChores() }
        perform()
    }

    /// Chores have their turn when no reply waits for one.
    private func claimChores() throws {
        let room = Worker.chores - calls.choreCount
        guard room > 0, calls.count < limit / 2, calls.routes.permits.map({ calls.count < $0 / 2 }) ?? true else {
            return
        }
        let claimed = try choreBatch.run { try chores.claim(limit: min(room, $0)) }
        for chore in claimed { calls.begin(.chore(chore)) }
    }
}
