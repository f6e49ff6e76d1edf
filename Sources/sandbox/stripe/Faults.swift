import Synchronization

/// What goes wrong on request.
final class Faults: Sendable {
    /// `down`: the connection is reset before anything is done. `lost`: it is done, and reset before the answer. `slow`: answered
    /// late. `error`: 500, kept for whoever repeats the call under its key. `busy`: 429.
    enum Kind: String { case down, lost, slow, error, busy }

    struct Fault: Sendable {
        let kind: Kind
        /// What the paths begin with that it befalls.
        let path: String
        let milliseconds: Int
        var times: Int
    }

    private let faults = Mutex<[Fault]>([])

    func add(_ fault: Fault) { faults.withLock { $0.append(fault) } }
    func clear() { faults.withLock { $0 = [] } }

    /// The one that befalls a call to this path.
    func take(_ path: String) -> Fault? {
        faults.withLock { faults in
            guard let index = faults.firstIndex(where: { path.hasPrefix($0.path) && $0.times > 0 }) else { return nil }
            faults[index].times -= 1
            return faults[index]
        }
    }
}
