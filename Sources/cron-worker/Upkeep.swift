import Common
import Glibc
import Synchronization

/// What is done beside replies, on a thread and a connection of its own: the loop that makes replies waits for none of it.
final class Upkeep: Sendable {
    private let isStopped = Atomic(false)
    /// At first too: the replies that wait are claimed before the loop says.
    private let isBusy = Atomic(true)
    private let isRunning = Atomic(false)

    /// Milliseconds between two looks at what is to be done, and between two batches while replies are being made.
    private static let (pause, busyPause) = (500, 100)

    func start() {
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        isRunning.store(true, ordering: .relaxed)
        let failure = pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<Upkeep>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        guard failure == 0 else {
            context.release()
            isRunning.store(false, ordering: .relaxed)
            return Log.error("upkeep does not run", ["reason": String(cString: strerror(failure))])
        }
        pthread_detach(thread)
    }

    /// Tells it whether replies are being made, which Postgres has to be left time for.
    func note(isBusy: Bool) { self.isBusy.store(isBusy, ordering: .relaxed) }

    /// Has it end after the statement that it is at.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Waits until it has ended, for no longer than a statement may take.
    func wait() {
        let deadline = monotonicMilliseconds() + Settings.statementTimeout
        while isRunning.load(ordering: .relaxed) {
            guard monotonicMilliseconds() < deadline else { return Log.notice("upkeep did not end in time") }
            usleep(1_000)
        }
    }

    private func run() {
        defer { isRunning.store(false, ordering: .relaxed) }
        Purge.run(Database())  // a connection that then ends, with all that Postgres keeps for these statements
        let database = Database()
        var generations = JobGenerations()
        var search = SearchFill()
        var tasks: [(name: String, due: Int, run: () throws -> Bool)] = [
            ("generations", 0, { try generations.turn(database) }),
            ("search", 0, { try search.fill(database) }),
            ("retention", 0, { try database.row(Bool.self, "select sweep_messages(500)") ?? false }),
            (
                "trash", 0,
                { try database.row(Bool.self, "select sweep_trash(\(Settings.trashDays), 500)") ?? false }
            ),
        ]
        while !isStopped.load(ordering: .relaxed) {
            for index in tasks.indices where tasks[index].due <= monotonicMilliseconds() {
                do {
                    let hasMore = try tasks[index].run()
                    let pause = isBusy.load(ordering: .relaxed) ? Upkeep.busyPause : 0
                    tasks[index].due = monotonicMilliseconds() + (hasMore ? pause : Upkeep.pause)
                } catch {
                    Log.error("upkeep failed", ["task": tasks[index].name, "reason": "\(error)"])
                    tasks[index].due = monotonicMilliseconds() + 10_000
                }
            }
            let wait = (tasks.map(\.due).min() ?? 0) - monotonicMilliseconds()
            if wait > 0 { usleep(useconds_t(min(wait, Upkeep.pause / 2) * 1_000)) }
        }
    }
}
