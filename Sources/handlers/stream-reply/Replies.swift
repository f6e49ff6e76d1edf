import Common

/// A piece of a reply for one stream, or that the reply is finished or gone.
struct News: Decodable {
    let descriptor: Int
    /// NULL where the message is gone, or the reader's session.
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

/// What the streams ask Postgres, many in one call; nil where it does not answer.
final class Replies {
    private let database = Database()
    /// Monotonic milliseconds before which Postgres, which did not answer, is not asked again.
    private(set) var nextContact = 0

    private struct Orphan: Decodable { let descriptor: Int }

    /// Checks that there is such a reply of the caller's.
    func check(_ reader: Reader) throws {
        let _: Done = try ask { try database.call("stream_reply", reader.caller, reader.room, reader.message) }
    }

    /// What has come for these streams; no row for one that has no news.
    func news(of streams: [ReplyStream]) -> [News]? { answer { try rows("stream_reply_news", streams) } }

    /// What ends these streams, whose replies are finished.
    func finished(for streams: [ReplyStream]) -> [FinishedReply]? { answer { try rows("stream_reply_ends", streams) } }

    /// Those of the streams, by their descriptors, whose session has ended or whose room was deleted.
    func orphans(among streams: [ReplyStream]) -> [Int]? {
        let orphans: [Orphan]? = answer {
            try database.callAll(
                "stream_reply_orphans", streams.map { Int($0.descriptor) }, streams.map(\.reader.caller),
                streams.map(\.reader.room))
        }
        return orphans?.map(\.descriptor)
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

    private func answer<Value>(_ question: () throws -> Value) -> Value? {
        guard monotonicMilliseconds() >= nextContact else { return nil }
        do {
            return try ask(question)
        } catch {
            Log.notice("no news from Postgres", ["reason": "\(error)"])
            return nil
        }
    }

    /// What a function gives that is told where these streams are.
    private func rows<Row: Decodable>(_ function: StaticString, _ streams: [ReplyStream]) throws -> [Row] {
        try database.callAll(
            function, streams.map { Int($0.descriptor) }, streams.map(\.reader.caller), streams.map(\.reader.room),
            streams.map(\.reader.message), streams.map(\.position.attempt), streams.map(\.position.offset))
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
}
