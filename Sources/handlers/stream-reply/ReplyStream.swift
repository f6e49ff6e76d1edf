import Common

/// One reader's stream of server-sent events (the HTML standard, 9.2).
final class ReplyStream {
    let reader: Reader
    let connection: Connection
    let began = monotonicMilliseconds()
    private(set) var position: Position
    /// Whether there may be news that wait until the reader has taken what was sent.
    var isBehind = false
    /// Whether the connection is watched for room, and the unsent bytes that the server has counted.
    var waitsForRoom = false
    var counted = 0
    /// Monotonic milliseconds of the last look at the reply, and of the next comment.
    var lastLook = 0
    var nextBeat: Int

    init(_ reader: Reader, _ connection: Connection, heartbeat: Int) {
        self.reader = reader
        self.connection = connection
        position = reader.position
        nextBeat = began + heartbeat
        let head = Response.stream(headers: [
            ("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"),
        ])
        connection.write(head.cgi(requestID: reader.requestID))
        connection.write(Array("retry: 1000\n\n".utf8))
        if reader.isLost { send("reset", "{}") }
    }

    var descriptor: Int32 { connection.descriptor }
    /// Whether the reader has taken all that was sent, so that more may be fetched.
    var isDrained: Bool { connection.unsentCount == 0 && !connection.hasEnded }

    /// Sends what `text`, which begins at `start`, adds to what the reader has.
    func take(_ text: String, attempt: Int, start: Int) {
        if attempt != position.attempt { restart(attempt) }
        // Where something is missing before it, that may still come.
        guard start <= position.offset, position.offset - start < text.utf8.count else { return }
        var rest = text.utf8.dropFirst(position.offset - start)
        if let first = rest.first, first & 0xC0 == 0x80 {
            // Nobody was given a place within a character.
            restart(attempt)
            guard start == 0 else { return }
            rest = text.utf8[...]
        }
        position.offset += rest.count
        send("delta", "{\"text\":\(JSON.quoted(String(Substring(rest))))}")
    }

    /// Sends what is left of a reply that is finished, and ends.
    func finish(_ reply: FinishedReply) {
        if reply.attempt != position.attempt || reply.length < position.offset { restart(reply.attempt) }
        if let content = reply.content { take(content, attempt: reply.attempt, start: 0) }
        // As bytes: a line may be one character, however long (`Request`).
        let lines = reply.json.utf8.split(separator: UInt8(ascii: "\n")).map { String(Substring($0)) }
        send(reply.status, lines.joined(separator: "\ndata: "))
        connection.end()
    }

    /// Shows the reader, and whatever is in between, that the stream lives.
    func beat() {
        if connection.unsentCount == 0 { connection.write(Array(":\n\n".utf8)) }
    }

    /// The text is written again from its beginning.
    private func restart(_ attempt: Int) {
        let hadSome = position.offset > 0
        position.attempt = attempt
        position.offset = 0
        if hadSome { send("reset", "{}") }
    }

    private func send(_ event: String, _ data: String) {
        connection.write(Array("id: \(position.id)\nevent: \(event)\ndata: \(data)\n\n".utf8))
    }
}
