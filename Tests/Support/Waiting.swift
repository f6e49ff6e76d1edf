import Foundation

/// Seconds of a clock that never jumps.
public func now() -> Double { ProcessInfo.processInfo.systemUptime }

/// Waits until a condition holds.
public func eventually(
    _ what: String, within seconds: Double = 20, _ condition: () throws -> Bool
) throws {
    let deadline = now() + seconds
    while try !condition() {
        guard now() < deadline else { throw Executable.Failure("waited \(seconds) s in vain for \(what)") }
        usleep(3_000)
    }
}

/// Calls `body` with 0, 1, … on so many threads at once, and gives what they returned.
public func concurrently<Value>(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Value) throws -> [Value] {
    let results = Results<Value>(count)
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        let thread = Thread {
            let result = Result { try body(index) }
            results.lock.withLock { results.all[index] = result }
            group.leave()
        }
        thread.stackSize = 1 << 20
        thread.start()
    }
    group.wait()
    return try results.all.map { result in
        guard let result else { throw Executable.Failure("a thread gave no result") }
        return try result.get()
    }
}

private final class Results<Value>: @unchecked Sendable {
    let lock = NSLock()
    var all: [Result<Value, any Error>?]
    init(_ count: Int) { all = Array(repeating: nil, count: count) }
}
