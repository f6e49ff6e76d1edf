import Common

/// Keeps the queue searchable while dead jobs cannot be removed: see `turn_job_generations`.
struct JobGenerations {
    private var isChecked = false
    private var batch = Batch(most: 1_000)

    /// Whether there may be more to do.
    mutating func turn(_ database: Database) throws -> Bool {
        if !isChecked {
            // A restored dump may hold older generations than its sequences, which are read as they are at the dump's end.
            try database.execute("select setval('oldest_job_generation', min(number)) from job_generations")
            isChecked = true
        }
        return try batch.run { try database.row(Bool.self, "select turn_job_generations(\($0)::int)") ?? false }
    }
}
