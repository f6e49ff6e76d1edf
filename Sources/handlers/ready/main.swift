import Common

struct State: Decodable {
    let schema: Bool
    let worker: Bool
}

/// What is not there: `database`, `schema`, `worker`.
func missing(_ database: Database) -> [String] {
    do {
        let migrated = try database.row(
            Bool.self, "select to_regclass('migrations') is not null and to_regclass('workers') is not null")
        guard migrated == true else { return ["schema", "worker"] }
        let state = try database.row(
            State.self,
            """
            select exists (select from migrations where name = \(Migrations.newest)) as schema,
                exists (select from workers where seen_at > now() - interval '2 minutes') as worker
            """)
        return (state?.schema == true ? [] : ["schema"]) + (state?.worker == true ? [] : ["worker"])
    } catch {
        Log.error("not ready", ["reason": "\(error)"])
        return ["database"]
    }
}

serve { _, database in
    let missing = missing(database)
    if missing.isEmpty { return .json("{\"status\":\"ready\"}") }
    let list = missing.map { "\"\($0)\"" }.joined(separator: ",")
    return .json(
        "{\"status\":\"unavailable\",\"missing\":[\(list)]}", status: 503, headers: [("Retry-After", "1")])
}
