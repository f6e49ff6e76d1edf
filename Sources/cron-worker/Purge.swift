import Common

/// Deletes what is over, a batch at a time.
enum Purge {
    static func run(_ database: Database) {
        let batches: [SQL] = [
            "delete from cache where key in (select key from cache where expires_at < now() limit 5000)",
            """
            delete from otps where (mobile, purpose) in (
                select mobile, purpose from otps where expires_at < now() - interval '1 day' limit 5000)
            """,
            """
            delete from sessions where (user_id, id) in (
                select user_id, id from sessions where expires_at < now() - interval '7 days' limit 5000)
            """,
            "delete from workers where seen_at < now() - interval '1 day'",
        ]
        for batch in batches {
            do { try database.execute(batch) } catch { Log.error("not purged", ["reason": "\(error)"]) }
        }
    }
}
