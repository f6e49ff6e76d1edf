import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct StreamReplyTests {
    let backend: Backend
    let person: Backend.Person
    let room: String
    let writer: ReplyWriter

    init() throws {
        backend = try Backend(["STREAM_HEARTBEAT_SECONDS": "1", "OTP_RESEND_SECONDS": "0"])
        person = try backend.signIn()
        room = try backend.room(person)
        writer = ReplyWriter(backend.database.connect())
    }

    /// Of one, two, three and four bytes a character, and what JSON and event streams treat in their own ways.
    static let pieces = [
        "Grüße", ", 世界", "! \u{2028}\r\n\n", "\"\\\u{1}", "👩‍👩‍👧‍👦", "e\u{301}", " data: x\n\n", "é", "the end",
    ]

    // MARK: What is streamed

    @Test
    func `A reply is streamed as it is written, and ends with the message`() throws {
        let reply = try queued()
        let stream = try open(reply)
        #expect(try stream.nextIsSilent())
        let head = try #require(stream.head)
        #expect(head.status == 200)
        #expect(head.header("Content-Type") == "text/event-stream")
        #expect(head.header("Cache-Control") == "no-store")
        #expect(head.header("X-Accel-Buffering") == "no")
        #expect(head.header("Content-Length") == nil)
        #expect(head.header("X-Request-Id") != nil)
        #expect(stream.retry == 1_000)
        try writer.begin(reply)
        var text = ""
        for piece in Self.pieces {
            try writer.add(piece, to: reply, at: text.utf8.count)
            text += piece
            let event = try #require(try stream.next())
            #expect(event == .init(id: "1-\(text.utf8.count)", name: "delta", data: event.data))
            #expect(event.text == piece)
        }
        try writer.finish(reply, text)
        let last = try #require(try stream.next())
        #expect(last.name == "done" && last.id == "1-\(text.utf8.count)")
        #expect(JSONValue(Array(last.data.utf8)) == (try message(reply)))
        #expect(try stream.next() == nil && stream.isWhole)
    }

    @Test
    func `What the worker writes is streamed, from the queue to the end`() throws {
        let worker = try backend.worker()
        let reply = try backend.post("[sandbox:slow ms=40] Hello", room, person)
        let events = try open(reply).rest()
        #expect(events.last?.name == "done")
        let content = try #require(try message(reply)["content"].text)
        #expect(events.last?.id == "1-\(content.utf8.count)")
        #expect(!content.isEmpty && text(of: events) == content)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A notification is passed on at once`() throws {
        let reply = try running()
        let stream = try open(reply)
        var length = 0
        let least = try quickest(below: 0.5) { try median(of: 5) { try show("x", of: reply, on: stream, &length) } }
        // It would be nearly a second, each after the one before it, if nobody was woken.
        #expect(least < 0.5)
    }

    @Test
    func `Without notifications it is passed on soon all the same`() throws {
        for prepared in ["on", "off"] {
            let backend = try Backend(["PREPARED_STATEMENTS": prepared], database: backend.database)
            let reply = try running()
            let stream = try open(reply, backend: backend)
            var length = 0
            let least = try quickest(below: 5) { try show("x", of: reply, on: stream, &length, notifies: false) }
            #expect(least < 5)
            try writer.finish(reply, String(repeating: "x", count: length), notifies: false)
            #expect(try stream.next()?.name == "done")
        }
    }

    @Test
    func `A finished reply comes at once, as one delta and the end`() throws {
        let content = Self.pieces.joined()
        let reply = try running()
        try writer.finish(reply, content)
        let events = try open(reply).rest()
        #expect(events.map(\.name) == ["delta", "done"])
        #expect(text(of: events) == content)
        #expect(events.allSatisfy { $0.id == "1-\(content.utf8.count)" })
    }

    @Test(arguments: ["failed", "cancelled"])
    func `A reply that comes to nothing ends with what became of it`(status: String) throws {
        let reply = try running()
        let live = try open(reply)
        try writer.add("Half an ans", to: reply, at: 0)
        #expect(try live.next()?.text == "Half an ans")
        try writer.finish(reply, "Half an answer", status: status)
        for events in [try live.rest(), try open(reply).rest()] {
            #expect(events.map(\.name) == ["delta", status])
            #expect(JSONValue(Array((events.last?.data ?? "").utf8))?["status"].text == status)
        }
        // One that keeps nothing of what was shown
        let empty = try running()
        let shown = try open(empty)
        try writer.add("Half", to: empty, at: 0)
        #expect(try shown.next()?.text == "Half")
        try writer.finish(empty, "", status: status)
        #expect(try shown.rest().map(\.name) == ["reset", status])
        #expect(try open(empty).rest().map(\.name) == [status])
    }

    @Test
    func `A reply that is written again from its beginning resets those who have some of it`() throws {
        let reply = try running()
        let stream = try open(reply)
        try writer.add("The first attempt", to: reply, at: 0)
        #expect(try stream.next()?.text == "The first attempt")
        try writer.execute("update messages set status = 'queued' where id = \(reply)::uuid")
        let fresh = try open(reply)
        #expect(try fresh.nextIsSilent())
        try writer.begin(reply, attempt: 2)
        try writer.add("The second", to: reply, attempt: 2, at: 0)
        #expect(try stream.next() == .init(id: "2-0", name: "reset", data: "{}"))
        for stream in [stream, fresh] { #expect(try stream.next()?.text == "The second") }
        // Of an attempt that is over nothing is shown any more.
        try writer.add(" is late", to: reply, attempt: 1, at: 17)
        try writer.add(" one", to: reply, attempt: 2, at: 10)
        for stream in [stream, fresh] {
            #expect(try stream.next() == .init(id: "2-14", name: "delta", data: #"{"text":" one"}"#))
        }
        try writer.finish(reply, "The second one")
        #expect(try stream.rest().map(\.name) == ["done"])
    }

    @Test
    func `Rows that overlap are shown once`() throws {
        let ends = [0] + Self.pieces.indices.map { Self.pieces[...$0].joined().utf8.count }
        let reply = try running()
        let stream = try open(reply)
        var events: [EventStream.Event] = []
        func add(_ range: Range<Int>) throws {
            try writer.add(Self.pieces[range].joined(), to: reply, at: ends[range.lowerBound])
        }
        func expectUntil(_ end: Int) throws {
            while events.last?.id != "1-\(ends[end])" { events.append(try #require(try stream.next())) }
            #expect(text(of: events) == Self.pieces[..<end].joined())
            // The same for who comes back with any part of it
            for had in 0..<end {
                let rest = try resumed(reply, "1-\(ends[had])", bytes: ends[end] - ends[had])
                #expect(rest == Self.pieces[had..<end].joined())
            }
        }
        for range in [0..<2, 1..<3, 2..<5] {
            try add(range)
            try expectUntil(range.upperBound)
        }
        // The whole text written anew, and something of before that arrives late
        try writer.execute("delete from deltas where message_id = \(reply)::uuid")
        try add(0..<6)
        try add(1..<2)
        try expectUntil(6)
        try add(6..<9)
        try expectUntil(9)
    }

    @Test
    func `Text with a hole is never shown`() throws {
        let reply = try running()
        let stream = try open(reply)
        try writer.add("One ", to: reply, at: 0)
        #expect(try stream.next()?.text == "One ")
        try writer.add("three ", to: reply, at: 8)
        #expect(try stream.nextIsSilent())
        let fresh = try open(reply)
        #expect(try fresh.next()?.text == "One ")
        // As after a crash of Postgres: the beginning is gone.
        try writer.execute("delete from deltas where message_id = \(reply)::uuid and start = 0")
        let later = try open(reply)
        #expect(try later.nextIsSilent())
        try writer.add("One two ", to: reply, at: 0)
        #expect(text(of: [try #require(try stream.next()), try #require(try stream.next())]) == "two three ")
        for stream in [fresh, later] { while try stream.next()?.id != "1-14" {} }
        try writer.finish(reply, "One two three four")
        for stream in [stream, fresh, later] {
            #expect(try stream.next()?.text == "four")
            #expect(try stream.next()?.name == "done")
        }
    }

    @Test
    func `More rows than are fetched at once all come, in order`() throws {
        let reply = try running()
        try writer.execute(
            """
            insert into deltas (user_id, message_id, attempt, start, text)
            select \(person.id)::uuid, \(reply)::uuid, 1, (n - 1) * 5, lpad(n::text, 5, '0') from generate_series(1, 1000) n
            """)
        let least = try quickest(below: 5) {
            let stream = try open(reply)
            defer { stream.hangUp() }
            return try seconds {
                var text = ""
                while text.utf8.count < 5_000 { text += try #require(try stream.next()?.text) }
                #expect(text == (1...1_000).map { String(100_000 + $0).dropFirst() }.joined())
            }
        }
        #expect(least < 5)
    }

    // MARK: Who may

    @Test
    func `What is not a reply of the caller's is 404`() throws {
        let reply = try running()
        let other = try backend.signIn()
        expectProblem(try call(reply, token: other.token), 404, "not_found")
        let otherRoom = try backend.room(person)
        expectProblem(
            try backend.call("stream-reply", room: otherRoom, message: reply, token: person.token), 404, "not_found")
        let question = try writer.text("select id::text from messages where role = 'user' limit 1")
        expectProblem(try call(question), 404, "not_found")
        expectProblem(try call("00000000-0000-7000-8000-000000000000"), 404, "not_found")
        expectProblem(try call(reply, token: nil), 401, "token_missing")
        try writer.execute("update sessions set ended_at = now() where user_id = \(person.id)::uuid")
        expectProblem(try call(reply), 401, "session_ended")
    }

    @Test
    func `A stream ends with its session, and others go on`() throws {
        let reply = try running()
        let ending = try open(reply)
        let again = try backend.signIn(mobile: person.mobile)
        let staying = try open(reply, token: again.token)
        try writer.add("Hello", to: reply, at: 0)
        for stream in [ending, staying] { #expect(try stream.next()?.text == "Hello") }
        try writer.execute(
            """
            update sessions set ended_at = now() where user_id = \(person.id)::uuid
                and id = (select id from sessions order by created_at limit 1)
            """)
        #expect(try ending.rest().isEmpty && ending.isWhole)
        try writer.add("!", to: reply, at: 5)
        #expect(try staying.next()?.text == "!")
    }

    @Test
    func `A stream goes on when its token is over`() throws {
        let backend = try Backend(
            ["ACCESS_TOKEN_SECONDS": "2", "STREAM_HEARTBEAT_SECONDS": "1", "OTP_RESEND_SECONDS": "0"],
            database: backend.database)
        let reply = try running()
        var token = ""
        var stream: EventStream
        repeat {
            token = try backend.signIn(mobile: person.mobile).token
            stream = try open(reply, token: token, backend: backend)
            try stream.awaitHead()
            // Where the machine is so busy that the token was over before the stream began, with another.
        } while stream.head?.status == 401
        try eventually("the end of the token") {
            try backend.call("subscription-status", token: token).json["code"] == "token_expired"
        }
        expectProblem(
            try backend.call("stream-reply", room: room, message: reply, token: token), 401, "token_expired")
        try stream.awaitComments(2)
        try writer.add("Hello", to: reply, at: 0)
        #expect(try stream.next()?.text == "Hello")
    }

    @Test
    func `A stream ends with its room, and with its message`() throws {
        for table in ["messages", "chatrooms"] {
            let stream = try open(try running())
            try stream.awaitComments(1)
            try writer.execute(
                table == "messages" ? "delete from messages where role = 'model'" : "delete from chatrooms")
            #expect(try stream.rest().isEmpty && stream.isWhole)
        }
    }
}
