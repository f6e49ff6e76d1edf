/// How much of a reply a reader has once an event has come: the event's id.
struct Position {
    /// The attempt that wrote it; 0 where the reader has nothing.
    var attempt = 0
    /// In bytes of UTF-8.
    var offset = 0

    /// As the reader gets it, and sends it back in `Last-Event-ID`.
    var id: String { "\(attempt)-\(offset)" }

    init() {}

    /// Takes what `id` gives; anything else is nil.
    init?(id: String) {
        guard id.utf8.count <= 32 else { return nil }
        let parts = id.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let attempt = Int32(parts[0]), let offset = Int32(parts[1]) else { return nil }
        (self.attempt, self.offset) = (Int(attempt), Int(offset))
        guard self.id == id else { return nil }
    }
}
