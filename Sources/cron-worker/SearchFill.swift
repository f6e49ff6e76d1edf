import Common

/// Makes the index of search, a batch of replies at a time. Where a batch fails, each of its replies is set aside, which is committed,
/// and tried by itself: so the next are indexed whatever becomes of it, even if Postgres dies of it.
struct SearchFill {
    private struct Reply: Decodable {
        let userID: ID
        let chatroomID: ID
        let id: ID

        enum CodingKeys: String, CodingKey {
            case id
            case userID = "user_id"
            case chatroomID = "chatroom_id"
        }
    }

    private var batch = Batch(most: 64)
    /// How many are to be tried one by one.
    private var single = 0
    /// Monotonic milliseconds of the last time that no more were found; nil before.
    private var emptied: Int?

    /// Whether there may be more.
    mutating func fill(_ database: Database) throws -> Bool {
        if single > 0 { return try fillOne(database) }
        let began = monotonicMilliseconds()
        let since = self.since
        do {
            let size = batch.size
            let count = try batch.run {
                try database.row(Int.self, "select fill_search(\($0)::int, \(since))") ?? 0
            }
            if count < size { emptied = began }
            return count == size
        } catch DatabaseError.unavailable(let reason) {
            throw DatabaseError.unavailable(reason)
        } catch {
            Log.notice("search is filled one by one", ["reason": "\(error)"])
            single = batch.size
            return true
        }
    }

    private mutating func fillOne(_ database: Database) throws -> Bool {
        guard let reply = try database.row(Reply.self, "select * from set_search_aside(\(since))") else {
            single = 0
            return false
        }
        single -= 1
        do {
            try database.execute("select fill_search_of(\(reply.userID), \(reply.chatroomID), \(reply.id))")
        } catch {
            Log.error(
                "a message is not indexed for search",
                ["message_id": reply.id.text, "chatroom_id": reply.chatroomID.text, "reason": "\(error)"])
        }
        return true
    }

    /// From when on replies are looked for: all at first, then those of the time since all were found, and of a minute before, in
    /// which who queued them may have had to commit.
    private var since: SQL {
        let seconds = emptied.map { Double(monotonicMilliseconds() - $0) / 1_000 + 60 }
        return "coalesce(now() - make_interval(secs => \(seconds)::float8), '-infinity')"
    }
}
