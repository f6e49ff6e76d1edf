import Common

/// A piece of a reply for one stream, or that the reply is finished or gone.
struct News: Decodable {
    let descriptor: Int
    /// NULL where the message is gone.
    let status: String?
    let attempt: Int?
    let start: Int?
    let text: String?
    /// Whether there is more than is fetched at once.
    let isPartial: Bool

    enum CodingKeys: String, CodingKey {
        case descriptor, status, attempt, start, text
        case isPartial = "is_partial"
    }
}

/// A reply that is finished, for one stream.
struct FinishedReply: Decodable {
    let descriptor: Int
    let status: String
    let attempt: Int
    /// The content's bytes of UTF-8.
    let length: Int
    /// NULL where the reader has all of it.
    let content: String?
    let json: String
}

/// What the streams ask Postgres, many in one statement; nil where it does not answer.
final class Replies {
    private let database = Database()
    /// Monotonic milliseconds before which Postgres, which did not answer, is not asked again.
    private(set) var nextContact = 0

    private struct Found: Decodable { let there: Bool }

    /// Checks that there is such a reply of the caller's.
    func check(_ reader: Reader) throws {
        let statement: SQL =
            """
            with caller as (\(reader.caller.live))
            select m.id is not null as there from caller
            left join \(Message.found(reader.message, in: reader.room)) and m.role = 'model'
            """
        guard let found = try ask({ try database.row(Found.self, statement) }) else { throw Problem.sessionEnded }
        guard found.there else { throw Problem.notFound }
    }

    /// What has come for these streams; no row for one that has no news.
    ///
    /// The text of an older attempt is none. The first row wanted is the last that starts where the reader is or before, or the
    /// one that holds the whole text written anew; found by the index, however long the text is.
    func news(of streams: [ReplyStream]) -> [News]? {
        rows(
            """
            select s.descriptor, m.status, d.attempt, d.start, d.text, coalesce(d.number = 64, false) as is_partial
            from \(places(streams))
            left join messages m on m.user_id = s.user_id and m.chatroom_id = s.chatroom_id and m.id = s.id
            left join lateral (
                select a.attempt, t.start, t.text, row_number() over () as number
                from (
                    select l.attempt, case when l.attempt = s.attempt then s.had else 0 end as had from (
                        select attempt from deltas
                        where user_id = s.user_id and message_id = s.id and attempt >= s.attempt
                            and m.status = 'running'
                        order by attempt desc limit 1
                    ) l
                ) a cross join lateral (
                    select start, text from deltas t
                    where t.user_id = s.user_id and t.message_id = s.id and t.attempt = a.attempt
                        and octet_length(t.text) > a.had - t.start and t.start >= coalesce(
                            (select start from deltas w where w.user_id = s.user_id and w.message_id = s.id
                                and w.attempt = a.attempt and w.start = 0 and octet_length(w.text) > a.had),
                            (select max(start) from deltas b where b.user_id = s.user_id and b.message_id = s.id
                                and b.attempt = a.attempt and b.start <= a.had),
                            0)
                    order by t.start limit 64
                ) t
            ) d on true
            where d.start is not null or m.status is null or m.status not in ('queued', 'running')
            order by s.descriptor, d.start
            """)
    }

    /// What ends these streams, whose replies are finished.
    func finished(for streams: [ReplyStream]) -> [FinishedReply]? {
        rows(
            """
            select s.descriptor, m.status, m.attempt, octet_length(m.content) as length,
                case when m.attempt <> s.attempt or octet_length(m.content) <> s.had then m.content end as content,
                \(Message.json) as json
            from \(places(streams))
            join messages m on m.user_id = s.user_id and m.chatroom_id = s.chatroom_id and m.id = s.id
            """)
    }

    /// Those of the streams, by their descriptors, whose session has ended or whose room was deleted.
    func orphans(among streams: [ReplyStream]) -> [Int]? {
        rows(
            """
            select s.descriptor from unnest(
                \(streams.map { Int($0.descriptor) })::int[], \(streams.map(\.reader.caller.user))::uuid[],
                \(streams.map(\.reader.caller.session))::uuid[], \(streams.map(\.reader.room))::uuid[]
            ) as s (descriptor, user_id, session_id, chatroom_id)
            where not exists (
                select from sessions c where c.user_id = s.user_id and c.id = s.session_id
                    and c.ended_at is null and c.expires_at > now()
            ) or not exists (
                select from chatrooms r
                where r.user_id = s.user_id and r.id = s.chatroom_id and r.deleted_at is null
            )
            """)
    }

    // MARK: Postgres

    /// Asks Postgres. Where it does not answer, it is not asked again for a while, and for longer the longer that took: the
    /// streams have to live meanwhile.
    private func ask<Value>(_ question: () throws -> Value) throws -> Value {
        let began = monotonicMilliseconds()
        guard began >= nextContact else { throw DatabaseError.unavailable("it did not answer a moment ago") }
        do {
            return try question()
        } catch let error as DatabaseError {
            let now = monotonicMilliseconds()
            nextContact = now + max(250, now - began)
            throw error
        }
    }

    private func rows<Row: Decodable>(_ statement: SQL) -> [Row]? {
        guard monotonicMilliseconds() >= nextContact else { return nil }
        do {
            return try ask { try database.rows(Row.self, statement) }
        } catch {
            Log.notice("no news from Postgres", ["reason": "\(error)"])
            return nil
        }
    }

    /// The descriptor to wait on for notifications, while there is a connection.
    var descriptor: Int32? { database.descriptor }
    /// Whether notifications come.
    var isListening: Bool { database.listens(to: Message.channel) }

    /// Makes notifications come; true where they did not come before.
    func listen() -> Bool {
        guard !isListening, monotonicMilliseconds() >= nextContact else { return false }
        do {
            return try ask { try database.listen(to: Message.channel) }
        } catch {
            Log.notice("not listening", ["reason": "\(error)"])
            return false
        }
    }

    /// Ends the notifications.
    func unlisten() {
        do { try database.unlisten() } catch { Log.notice("still listening", ["reason": "\(error)"]) }
    }

    /// The replies that have been notified since the last call.
    func notifications() -> [String] { Message.ids(in: database.notifications()) }

    /// Closes the connection; the next question opens another.
    func close() { database.close() }

    /// Where these streams are, as the table `s`.
    private func places(_ streams: [ReplyStream]) -> SQL {
        """
        unnest(
            \(streams.map { Int($0.descriptor) })::int[], \(streams.map(\.reader.caller.user))::uuid[],
            \(streams.map(\.reader.room))::uuid[], \(streams.map(\.reader.message))::uuid[],
            \(streams.map(\.position.attempt))::int[], \(streams.map(\.position.offset))::int[]
        ) as s (descriptor, user_id, chatroom_id, id, attempt, had)
        """
    }
}
