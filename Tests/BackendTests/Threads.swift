import Foundation
import Testing

/// Runs a suite's tests on threads that may wait, a few at a time: they wait for processes, and Swift's own threads are
/// only as many as there are processors.
struct Threads: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Pool.shared) { try await function() }
    }
}

extension Trait where Self == Threads {
    static var threads: Threads { Threads() }
}

/// As many threads as tests may run at once.
private final class Pool: TaskExecutor, @unchecked Sendable {
    static let shared = Pool(count: 8)
    private let lock = NSLock()
    private let waiting = DispatchSemaphore(value: 0)
    private var jobs: [UnownedJob] = []

    init(count: Int) {
        for _ in 0..<count {
            let thread = Thread { [unowned self] in
                while true {
                    self.waiting.wait()
                    let job = self.lock.withLock { self.jobs.removeFirst() }
                    job.runSynchronously(on: self.asUnownedTaskExecutor())
                }
            }
            thread.stackSize = 4 << 20
            thread.start()
        }
    }

    func enqueue(_ job: UnownedJob) {
        lock.withLock { jobs.append(job) }
        waiting.signal()
    }
}
