import Common

struct State: Decodable {
    let isReadOnly: Bool
    /// What is not there, as JSON: `database`, `schema`, `worker`.
    let missing: String

    enum CodingKeys: String, CodingKey {
        case missing
        case isReadOnly = "is_read_only"
    }
}

func missing(_ database: Database) -> String {
    do {
        let state: State = try database.call("ready", Migrations.newest)
        if state.isReadOnly {
            Log.error("not ready", ["reason": "the server is read-only"])
            database.close()
        }
        return state.missing
    } catch DatabaseError.refused("3F000", _, _), DatabaseError.refused("42883", _, _) {
        // There is no such schema or function: nothing of ours, or an older release of it.
        return #"["schema","worker"]"#
    } catch {
        Log.error("not ready", ["reason": "\(error)"])
        return #"["database"]"#
    }
}

serve { _, database in
    let missing = missing(database)
    if missing == "[]" { return .json("{\"status\":\"ready\"}") }
    return .json(
        "{\"status\":\"unavailable\",\"missing\":\(missing)}", status: 503, headers: [("Retry-After", "1")])
}
