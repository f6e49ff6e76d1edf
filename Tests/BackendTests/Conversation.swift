import Common
import Foundation
import TestSupport
import Testing

/// A person, a room of theirs, and what they do with its messages. What needs `database` is not for several threads.
struct Conversation: @unchecked Sendable {
    let backend: Backend
    let person: Backend.Person
    let room: String
    let database: Database

    init(_ settings: [String: String] = [:], processes: Int = 1) throws {
        backend = try Backend(settings, processes: processes)
        person = try backend.signIn()
        room = try backend.room(person)
        database = backend.database.connect()
    }

    func call(
        _ endpoint: String, _ message: String? = nil, body: JSONValue? = nil, query: String = "",
        headers: [String: String] = [:]
    ) throws -> Answer {
        try backend.call(
            endpoint, room: room, message: message, token: person.token, body: body, query: query, headers: headers)
    }

    /// A request that has been sent when this returns.
    func begun(_ endpoint: String, _ message: String, headers: [String: String] = [:]) throws -> FastCGI {
        let connection = try FastCGI(backend.endpoint(endpoint).listener.path)
        connection.sendRequest(
            Backend.parameters(room: room, message: message, token: person.token, headers: headers))
        return connection
    }

    /// Sends a message; its id and that of its reply.
    func send(_ content: String) throws -> (question: String, reply: String) {
        try made(call("send-message", body: ["content": .string(content)]))
    }

    func edit(_ message: String, _ content: String) throws -> (question: String, reply: String) {
        try made(call("edit-message", message, body: ["content": .string(content)]))
    }

    /// The id of the new reply.
    func regenerate(_ reply: String) throws -> String { try made(call("regenerate-reply", reply)).reply }

    /// The id of the new reply.
    func `continue`(_ reply: String) throws -> String { try made(call("continue-reply", reply)).reply }

    /// The reply's JSON once a worker has finished it.
    func finished(_ reply: String) throws -> JSONValue { try backend.reply(reply, room, person) }

    private func made(_ answer: Answer) throws -> (question: String, reply: String) {
        guard answer.status == 202, let question = answer.json["message"]["id"].text,
            let reply = answer.json["reply"]["id"].text
        else { throw Executable.Failure("\(answer.status) \(answer.text)") }
        return (question, reply)
    }

    /// Finishes all replies, as a worker would.
    func finish() throws {
        try database.execute(
            """
            with done as (delete from jobs returning id)
            update messages m set status = 'done', content = 'answer', completed_at = now() from done where m.id = done.id
            """)
    }

    /// Has a reply run, with this much of it there.
    func begin(_ reply: String, deltas: [(attempt: Int, start: Int, text: String)] = []) throws {
        try database.execute(
            """
            with job as (
                update jobs set state = 'running', worker = gen_random_uuid(), leased_until = now() + interval '1 hour',
                    attempts = attempts + 1
                where id = \(reply)::uuid)
            update messages set status = 'running', attempt = \(deltas.map(\.attempt).max() ?? 1)
            where id = \(reply)::uuid
            """)
        for delta in deltas {
            try database.execute(
                """
                insert into deltas (user_id, message_id, attempt, start, text)
                values (\(person.id), \(reply), \(delta.attempt), \(delta.start), \(delta.text))
                """)
        }
    }

    /// What the room shows, the oldest first, read in pages of this size.
    func shown(pages limit: Int = 100) throws -> [JSONValue] {
        var messages: [JSONValue] = []
        var cursor: String? = ""
        while let place = cursor {
            let answer = try call("list-messages", query: "limit=\(limit)&cursor=\(place)")
            guard answer.status == 200 else { throw Executable.Failure(answer.text) }
            messages += answer.json["messages"].list
            cursor = answer.json["next_cursor"].text
        }
        return messages.reversed()
    }

    /// The ids of what the room shows, the oldest first.
    func ids(pages limit: Int = 100) throws -> [String] { try shown(pages: limit).compactMap { $0["id"].text } }
}
