import Common

/// How much is done in one statement: as much as takes no longer than some 50 ms, so that nobody waits long for it or for its locks.
struct Batch {
    private(set) var size: Int
    let most: Int

    init(from size: Int = 16, most: Int) {
        self.size = size
        self.most = most
    }

    mutating func run<Value>(_ body: (Int) throws -> Value) rethrows -> Value {
        let began = monotonicMilliseconds()
        let value = try body(size)
        let took = monotonicMilliseconds() - began
        if took > 50 { size = max(1, size / 2) } else if took < 25 { size = min(most, size * 2) }
        return value
    }
}
