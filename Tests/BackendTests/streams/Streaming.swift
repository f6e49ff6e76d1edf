import Common
import Foundation
import TestSupport
import Testing

/// What tests of streams do again and again.
extension StreamReplyTests {
    func queued() throws -> String { try backend.post("Hello", room, person) }

    func running(attempt: Int = 1) throws -> String {
        let reply = try queued()
        try writer.begin(reply, attempt: attempt)
        return reply
    }

    func open(
        _ reply: String, after id: String = "", token: String? = nil, backend other: Backend? = nil
    ) throws -> EventStream {
        let connection = try FastCGI((other ?? backend).endpoint("stream-reply").listener.path)
        connection.sendRequest(
            Backend.parameters(
                room: room, message: reply, token: token ?? person.token,
                headers: id.isEmpty ? [:] : ["Last-Event-ID": id]))
        return EventStream(connection)
    }

    func call(_ reply: String) throws -> Answer { try call(reply, token: person.token) }

    func call(_ reply: String, token: String?) throws -> Answer {
        try backend.call("stream-reply", room: room, message: reply, token: token)
    }

    /// The next so many bytes after an id of a reply that is not finished.
    func resumed(_ reply: String, _ id: String, bytes: Int) throws -> String {
        let stream = try open(reply, after: id)
        defer { stream.hangUp() }
        var rest = ""
        while rest.utf8.count < bytes {
            let event = try #require(try stream.next())
            #expect(event.name == "delta")
            rest += event.text ?? ""
        }
        return rest
    }

    /// The seconds until a reader is shown what is added to a reply of this length.
    func show(
        _ text: String, of reply: String, on stream: EventStream, _ length: inout Int, notifies: Bool = true
    ) throws -> Double {
        let began = now()
        try writer.add(text, to: reply, at: length, notifies: notifies)
        length += text.utf8.count
        #expect(try stream.next()?.text == text)
        return now() - began
    }

    func median(of count: Int, _ measure: () throws -> Double) throws -> Double {
        try (0..<count).map { _ in try measure() }.sorted()[count / 2]
    }

    func message(_ reply: String) throws -> JSONValue {
        let page = try backend.call("list-messages", room: room, token: person.token).json
        return try #require(page["messages"].list.first { $0["id"].text == reply })
    }

    func text(of events: [EventStream.Event]) -> String { events.compactMap(\.text).joined() }

    func descriptors(_ process: Executable) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/fd").count
    }

    /// The resident kilobytes of the process that streams.
    func memory() throws -> Int {
        let process = try backend.endpoint("stream-reply").processes[0]
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let match = try #require(status.firstMatch(of: /VmRSS:\s+(\d+)/))
        return try #require(Int(match.output.1))
    }
}

extension EventStream {
    /// Whether it is open and nothing but comments comes for a while.
    func nextIsSilent() throws -> Bool {
        try awaitHead()
        do {
            try awaitComments(1, seconds: 0.4)
            try awaitComments(1, seconds: 3)
        } catch let failure as Executable.Failure where failure.description.hasPrefix("no answer") {}
        return true
    }
}

/// Writes replies as the worker does.
struct ReplyWriter {
    let database: Database
    init(_ database: Database) { self.database = database }

    func execute(_ statement: SQL) throws { try database.execute(statement) }

    func text(_ statement: SQL) throws -> String { try #require(try database.row(String.self, statement)) }

    func begin(_ reply: String, attempt: Int = 1) throws {
        try execute("update messages set status = 'running', attempt = \(attempt) where id = \(reply)::uuid")
    }

    func add(_ text: String, to reply: String, attempt: Int = 1, at start: Int, notifies: Bool = true) throws {
        try execute(
            """
            insert into deltas (user_id, message_id, attempt, start, text)
            select user_id, id, \(attempt), \(start), \(text) from messages where id = \(reply)::uuid
            """)
        if notifies { try execute("select pg_notify('replies', \(reply))") }
    }

    func finish(_ reply: String, _ content: String, status: String = "done", notifies: Bool = true) throws {
        try execute(
            """
            with gone as (delete from deltas where message_id = \(reply)::uuid)
            update messages set status = \(status)::message_status, content = \(content), completed_at = now(),
                error = case when \(status) = 'failed' then '{"code": "internal", "detail": "x", "retryable": true}'::jsonb end
            where id = \(reply)::uuid
            """)
        if notifies { try execute("select pg_notify('replies', \(reply))") }
    }

    // MARK: Many at once

    func makeReplies(_ count: Int, of person: Backend.Person, in room: String) throws -> [String] {
        try database.rows(
            String.self,
            """
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at, attempt)
            select \(person.id)::uuid, \(room)::uuid, uuidv7(clock_timestamp()), 'model', '', 'running', now(), 1
            from generate_series(1, \(count)::int) returning id::text
            """)
    }

    /// Adds to each its own id and the number of the round.
    func addToAll(_ replies: [String], round: Int) throws {
        try execute(
            """
            insert into deltas (user_id, message_id, attempt, start, text)
            select user_id, id, 1, \(round)::int * 39, id || ' ' || \(String(round)) || ';'
            from messages where id = any(\(replies)::uuid[])
            """)
        try notify(replies)
    }

    func finishAll(_ replies: [String]) throws {
        try execute(
            """
            with gone as (delete from deltas)
            update messages m set status = 'done', content = t.text from (
                select message_id, string_agg(text, '' order by start) as text from deltas group by message_id
            ) t where m.id = t.message_id
            """)
        try notify(replies)
    }

    private func notify(_ replies: [String]) throws {
        try execute(
            """
            select pg_notify('replies', string_agg(id, ' '))
            from unnest(\(replies)::text[]) with ordinality as r (id, number) group by number / 200
            """)
    }
}
