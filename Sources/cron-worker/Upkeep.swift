import Common

/// What is done a little at a time, so that replies do not wait for it: the index of search, messages that have grown too old, and
/// rooms that have been in the trash for long enough.
struct Upkeep {
    /// A statement that does some of it, and says whether there may be more; and when it is due, in monotonic milliseconds.
    private struct Task {
        let name: String
        let statement: SQL
        var due = 0
    }

    private let database: Database
    private var tasks = [
        Task(name: "search", statement: "select fill_search(16) = 16"),
        Task(name: "retention", statement: "select sweep_messages(500)"),
        Task(name: "trash", statement: "select sweep_trash(\(Settings.trashDays), 500)"),
    ]

    init(_ database: Database) { self.database = database }

    /// When the next of it is due.
    var due: Int { tasks.map(\.due).min() ?? .max }

    /// Does what is due. What fails is left for a while.
    mutating func run(_ now: Int, isBusy: Bool) {
        for index in tasks.indices where tasks[index].due <= now {
            do {
                let hasMore = try database.row(Bool.self, tasks[index].statement) ?? false
                tasks[index].due = now + (hasMore ? (isBusy ? 100 : 0) : 500)
            } catch {
                Log.error("upkeep failed", ["task": tasks[index].name, "reason": "\(error)"])
                tasks[index].due = now + 10_000
            }
        }
    }
}
