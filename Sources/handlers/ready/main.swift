import Common

struct Server: Decodable {
    let isReadOnly: Bool
    let isMigrated: Bool

    enum CodingKeys: String, CodingKey {
        case isReadOnly = "is_read_only"
        case isMigrated = "is_migrated"
    }
}

struct State: Decodable {
    let schema: Bool
    let worker: Bool
}

/// What is not there: `database`, `schema`, `worker`.
func missing(_ database: Database) -> [String] {
    do {
        let server = try database.row(
            Server.self,
            """
            select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as is_read_only,
                to_regclass('migrations') is not null and to_regclass('workers') is not null as is_migrated
            """)
        if server?.isReadOnly ?? true {
            Log.error("not ready", ["reason": "the server is read-only"])
            database.close()
            return ["database"]
        }
        guard server?.isMigrated ?? false else { return ["schema", "worker"] }
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
