import Common

struct State: Decodable {
    let schema: Bool
    let worker: Bool
}

struct Readiness: Encodable {
    let status: String
    /// What is not there: `database`, `schema`, `worker`.
    let missing: [String]
}

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
    if missing.isEmpty { return try .json(Readiness(status: "ready", missing: [])) }
    return try .json(
        Readiness(status: "unavailable", missing: missing), status: 503, headers: [("Retry-After", "1")])
}
