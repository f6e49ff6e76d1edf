import Foundation

/// Seconds of a clock that never jumps.
public func now() -> Double { ProcessInfo.processInfo.systemUptime }

/// Waits until a condition holds. How long it may take is no part of what a test shows: see `quickest`.
public func eventually(
    _ what: String, within seconds: Double = 90, _ condition: () throws -> Bool
) throws {
    let deadline = now() + seconds
    while try !condition() {
        guard now() < deadline else { throw Executable.Failure("waited \(seconds) s in vain for \(what)") }
        usleep(3_000)
    }
}

/// The seconds of the quickest of a few tries, of which no more are made once one was quick enough.
///
/// What is to be quick can be held up by all else that runs on the machine, though hardly each time; what is slow by itself is slow
/// each time.
public func quickest(below bound: Double, tries: Int = 6, _ measure: () throws -> Double) throws -> Double {
    var least = Double.infinity
    for _ in 0..<tries where least >= bound { least = min(least, try measure()) }
    return least
}

/// The seconds that `body` takes.
public func seconds(_ body: () throws -> Void) throws -> Double {
    let began = now()
    try body()
    return now() - began
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
