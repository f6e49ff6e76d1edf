import Common
import Foundation
import TestSupport
import Testing

/// How long a stream lasts, and what ends it.
extension StreamReplyTests {
    @Test
    func `Comments come when there is nothing else`() throws {
        let reply = try queued()
        // Fifteen seconds between two would be the default.
        let took = try seconds { try open(reply).awaitComments(3) }
        #expect((1.5...40).contains(took))
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGQUIT])
    func `Told to stop, it ends all streams, whole, and who comes back goes on`(signal: Int32) throws {
        let reply = try running()
        try writer.add("Hello", to: reply, at: 0)
        let least = try quickest(below: 1) {
            let streams = try (0..<10).map { _ in try open(reply) }
            for stream in streams { #expect(try stream.next()?.id == "1-5") }
            let process = try backend.endpoint("stream-reply").processes[0]
            let took = try seconds {
                process.signal(signal)
                let exit = try process.wait()
                #expect(exit == .code(0))
            }
            for stream in streams { #expect(try stream.rest().isEmpty && stream.isWhole) }
            try backend.revive("stream-reply")
            return took
        }
        #expect(least < 1)
        try writer.finish(reply, "Hello, world")
        #expect(text(of: try open(reply, after: "1-5").rest()) == ", world")
    }

    @Test
    func `Told to stop, it waits a second for a reader who reads nothing`() throws {
        let reply = try running()
        try writer.finish(reply, String(repeating: "x", count: 2_000_000))
        let least = try quickest(below: 3) {
            let waiting = try open(reply)
            // Taken after it, and served from beginning to end
            #expect(try open(reply).rest().map(\.name) == ["delta", "done"])
            let process = try backend.endpoint("stream-reply").processes[0]
            let took = try seconds {
                process.terminate()
                let exit = try process.wait()
                #expect(exit == .code(0))
            }
            #expect(took >= 0.9)
            _ = try waiting.rest()
            #expect(!waiting.isWhole)
            try backend.revive("stream-reply")
            return took
        }
        #expect(least < 3)
    }

    @Test
    func `Postgres may die within a stream, and nothing is lost or shown twice`() throws {
        let postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        let backend = try Backend(["STREAM_HEARTBEAT_SECONDS": "1"], database: postgres.createDatabase())
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        let writer = ReplyWriter(backend.database.connect())
        try writer.begin(reply)
        func open() throws -> EventStream {
            let connection = try FastCGI(backend.endpoint("stream-reply").listener.path)
            connection.sendRequest(Backend.parameters(room: room, message: reply, token: person.token))
            return EventStream(connection)
        }
        let stream = try open()
        try writer.add("One ", to: reply, at: 0)
        #expect(try stream.next()?.text == "One ")
        try postgres.crash()
        expectProblem(
            try backend.call("stream-reply", room: room, message: reply, token: person.token), 503, "unavailable")
        try stream.awaitComments(2)
        try postgres.start()
        let again = ReplyWriter(backend.database.connect())
        // What was written is gone, and comes from where the worker is.
        try again.add("three ", to: reply, at: 8)
        #expect(try stream.nextIsSilent())
        try again.execute("delete from deltas where message_id = \(reply)::uuid")
        try again.add("One two three ", to: reply, at: 0)
        #expect(try stream.next()?.text == "two three ")
        try again.finish(reply, "One two three four")
        #expect(try stream.rest().map(\.name) == ["delta", "done"])
        #expect(text(of: try open().rest()) == "One two three four")
    }

    @Test
    func `A Postgres that answers nothing holds up no comment for long`() throws {
        let postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        let backend = try Backend(
            ["STREAM_HEARTBEAT_SECONDS": "1", "STATEMENT_TIMEOUT_MS": "500"], database: postgres.createDatabase())
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        let writer = ReplyWriter(backend.database.connect())
        try writer.begin(reply)
        let connection = try FastCGI(backend.endpoint("stream-reply").listener.path)
        connection.sendRequest(Backend.parameters(room: room, message: reply, token: person.token))
        let stream = EventStream(connection)
        try writer.add("One ", to: reply, at: 0)
        #expect(try stream.next()?.text == "One ")
        postgres.signalAll(SIGSTOP)
        defer { postgres.signalAll(SIGCONT) }
        let least = try quickest(below: 8) { try seconds { try stream.awaitComments(4) } }
        #expect(least < 8)
        expectProblem(
            try backend.call("stream-reply", room: room, message: reply, token: person.token), 503, "unavailable")
        postgres.signalAll(SIGCONT)
        try writer.add("two", to: reply, at: 4)
        #expect(try stream.next()?.text == "two")
    }

    @Test
    func `As CGI it is one stream`() throws {
        let reply = try running()
        let variables = Backend.parameters(room: room, message: reply, token: person.token)
        let process = try Executable(
            "stream-reply", environment: backend.settings.merging(variables) { $1 }, folder: backend.folder.path)
        try writer.add("Hello", to: reply, at: 0)
        try eventually("the delta") { process.output.contains(#"data: {"text":"Hello"}"#) }
        try writer.finish(reply, "Hello, world")
        #expect(try process.wait() == .code(0))
        let answer = try Answer(cgi: Array(process.output.utf8))
        #expect(answer.header("Content-Type") == "text/event-stream")
        #expect(answer.text.contains(#"data: {"text":", world"}"#) && answer.text.contains("event: done"))
        let refused = try Executable(
            "stream-reply", environment: backend.settings.merging(["REQUEST_METHOD": "GET"]) { $1 },
            folder: backend.folder.path)
        #expect(try refused.wait() == .code(0))
        expectProblem(try Answer(cgi: Array(refused.output.utf8)), 401, "token_missing")
    }
}
