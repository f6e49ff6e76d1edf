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

    // MARK: Resuming

    @Test
    func `Who comes back at any point gets the rest, without a gap or a repeat`() throws {
        let whole = Self.pieces.joined()
        let reply = try running()
        var (text, ids) = ("", [""])
        for piece in Self.pieces {
            try writer.add(piece, to: reply, at: text.utf8.count)
            text += piece
            ids.append("1-\(text.utf8.count)")
        }
        let offsets = [0] + Self.pieces.indices.map { Self.pieces[...$0].joined().utf8.count }
        // While it runs: each stream is left after its first event and taken up again from there.
        for (id, offset) in zip(ids, offsets) {
            let rest = try resumed(reply, id, bytes: whole.utf8.count - offset)
            #expect(rest == String(whole.utf8.dropFirst(offset)))
        }
        var (walked, id) = ("", "")
        while walked.utf8.count < whole.utf8.count {
            let stream = try open(reply, after: id)
            let event = try #require(try stream.next())
            stream.hangUp()
            walked += try #require(event.text)
            id = event.id
        }
        #expect(walked == whole)
        try writer.finish(reply, whole + "…")
        for (id, offset) in zip(ids, offsets) {
            let events = try open(reply, after: id).rest()
            #expect(events.map(\.name) == ["delta", "done"])
            #expect(self.text(of: events) == String((whole + "…").utf8.dropFirst(offset)))
        }
        #expect(try open(reply, after: "1-\(whole.utf8.count + 3)").rest().map(\.name) == ["done"])
    }

    @Test
    func `Who comes back from an older attempt starts anew`() throws {
        let reply = try running(attempt: 3)
        try writer.add("The third", to: reply, attempt: 3, at: 0)
        let stream = try open(reply, after: "2-4")
        #expect(try stream.next()?.name == "reset")
        #expect(try stream.next()?.text == "The third")
        try writer.finish(reply, "The third one")
        for id in ["1-3", "2-9"] {
            let events = try open(reply, after: id).rest()
            #expect(events.map(\.name) == ["reset", "delta", "done"])
            #expect(text(of: events) == "The third one")
        }
        // Nothing is forgotten by who has nothing.
        #expect(try open(reply, after: "2-0").rest().map(\.name) == ["delta", "done"])
    }

    @Test(arguments: [
        "x", "1", "-", "1-", "-1", "1-x", "1-2-3", "-1-2", "+1-2", "1-+2", " 1-2", "01-2", "1-99999999999999999999",
        "1-é", "1.0-2",
    ])
    func `An id that nobody was given is none, and what was shown is reset`(id: String) throws {
        let reply = try running()
        try writer.add("Hello", to: reply, at: 0)
        let stream = try open(reply, after: id)
        #expect(try stream.next() == .init(id: "0-0", name: "reset", data: "{}"))
        #expect(try stream.next()?.text == "Hello")
        try writer.finish(reply, "Hello, world")
        #expect(try open(reply, after: id).rest().map(\.name) == ["reset", "delta", "done"])
    }

    @Test
    func `Places that were never given out harm nobody`() throws {
        let reply = try running()
        try writer.add("日本語", to: reply, at: 0)
        for id in ["1-1", "1-4"] {
            let stream = try open(reply, after: id)
            #expect(try stream.next()?.name == "reset")
            #expect(try stream.next()?.text == "日本語")
        }
        let beyond = try open(reply, after: "1-2147483647")
        let future = try open(reply, after: "2147483647-5")
        #expect(try beyond.nextIsSilent())
        try writer.finish(reply, "日本語。")
        for stream in [beyond, future, try open(reply, after: "1-1"), try open(reply, after: "1-13")] {
            #expect(try stream.rest().map(\.name) == ["reset", "delta", "done"])
        }
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

    // MARK: Many

    @Test
    func `Hundreds of streams get their own text and nobody else's`() throws {
        let count = 300
        let replies = try writer.makeReplies(count, of: person, in: room)
        let streams = try replies.map { try open($0) }
        for round in 0..<5 {
            try writer.addToAll(replies, round: round)
            if round % 2 == 0 { usleep(20_000) }
        }
        try writer.finishAll(replies)
        let all = try concurrently(count) { try streams[$0].rest() }
        for (reply, events) in zip(replies, all) {
            #expect(events.last?.name == "done")
            #expect(text(of: events) == (0..<5).map { "\(reply) \($0);" }.joined())
        }
    }

    @Test
    func `Readers of one reply all get it`() throws {
        let reply = try running()
        let streams = try (0..<20).map { _ in try open(reply) }
        try writer.add("Hello", to: reply, at: 0)
        for stream in streams { #expect(try stream.next()?.text == "Hello") }
        try writer.finish(reply, "Hello")
        for stream in streams { #expect(try stream.rest().map(\.name) == ["done"]) }
    }

    @Test
    func `A reader who reads nothing holds up nobody, and gets all in the end`() throws {
        let (slow, quick) = (try running(), try running())
        let waiting = try open(slow)
        let stream = try open(quick)
        #expect(try stream.nextIsSilent())
        let piece = String(repeating: "0123456789abcdef", count: 6_250)
        for number in 0..<40 { try writer.add(piece, to: slow, at: number * piece.utf8.count) }
        let before = try memory()
        var length = 0
        let least = try quickest(below: 0.5) { try median(of: 9) { try show("x", of: quick, on: stream, &length) } }
        #expect(least < 0.5)
        // What it has not taken is left in Postgres.
        #expect(try memory() < before + 30_000)
        try writer.finish(slow, String(repeating: piece, count: 40))
        let events = try waiting.rest()
        #expect(events.last?.name == "done")
        #expect(text(of: events) == String(repeating: piece, count: 40))
    }

    @Test
    func `Many who read nothing of large replies are cut off before the memory is full, and come back`() throws {
        let content = String(repeating: "0123456789abcdef", count: 31_250)
        let large = try running()
        try writer.finish(large, content)
        let waiting = try (0..<60).map { _ in try open(large) }
        let reply = try running()
        let stream = try open(reply)
        try writer.add("Hello", to: reply, at: 0)
        #expect(try stream.next()?.text == "Hello")
        #expect(try memory() < 120_000)
        let all = try waiting.map { ($0, try $0.rest()) }
        #expect(all.contains { $0.0.isWhole } && all.contains { !$0.0.isWhole })
        #expect(all.allSatisfy { $0.0.isWhole ? $0.1.count == 2 : $0.1.count < 2 })
        #expect(text(of: try open(large).rest()) == content)
    }

    @Test
    func `Who hangs up is let go at once`() throws {
        let reply = try running()
        let first = try open(reply)
        #expect(try first.nextIsSilent())
        let process = try backend.endpoint("stream-reply").processes[0]
        let before = try descriptors(process)
        var length = 0
        let least = try quickest(below: 2) {
            let streams = try (0..<50).map { _ in try open(reply) }
            _ = try show("Hello", of: reply, on: first, &length)
            for stream in streams { #expect(try stream.next()?.name == "delta") }
            #expect(try descriptors(process) >= before + 50)
            for stream in streams { stream.hangUp() }
            return try seconds { try eventually("free descriptors") { try descriptors(process) <= before } }
        }
        #expect(least < 2)
        _ = try show("Hello", of: reply, on: first, &length)
    }

    @Test
    func `At its limit it says so, and others serve on`() throws {
        let backend = try Backend(["STREAMS": "2"], database: backend.database)
        let reply = try running()
        let held = try (0..<2).map { _ in try open(reply, backend: backend) }
        for stream in held { #expect(try stream.nextIsSilent()) }
        for _ in 0..<3 {
            let answer = try backend.call("stream-reply", room: room, message: reply, token: person.token)
            expectProblem(answer, 503, "too_many_streams")
        }
        #expect(
            try backend.call(
                "get-message", room: room, message: reply, token: person.token, headers: ["Prefer": "wait=1"]
            ).json["status"] == "running")
        held[0].hangUp()
        try eventually("a place") {
            let stream = try open(reply, backend: backend)
            try stream.awaitHead()
            return stream.head?.status == 200
        }
    }

    // MARK: The connection

    @Test
    func `Comments come when there is nothing else`() throws {
        let stream = try open(try queued())
        // Fifteen seconds between two would be the default.
        let took = try seconds { try stream.awaitComments(3) }
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

    // MARK: Help

    private func queued() throws -> String { try backend.post("Hello", room, person) }

    private func running(attempt: Int = 1) throws -> String {
        let reply = try queued()
        try writer.begin(reply, attempt: attempt)
        return reply
    }

    private func open(
        _ reply: String, after id: String = "", token: String? = nil, backend other: Backend? = nil
    ) throws -> EventStream {
        let connection = try FastCGI((other ?? backend).endpoint("stream-reply").listener.path)
        connection.sendRequest(
            Backend.parameters(
                room: room, message: reply, token: token ?? person.token,
                headers: id.isEmpty ? [:] : ["Last-Event-ID": id]))
        return EventStream(connection)
    }

    private func call(_ reply: String) throws -> Answer { try call(reply, token: person.token) }

    private func call(_ reply: String, token: String?) throws -> Answer {
        try backend.call("stream-reply", room: room, message: reply, token: token)
    }

    /// The next so many bytes after an id of a reply that is not finished.
    private func resumed(_ reply: String, _ id: String, bytes: Int) throws -> String {
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
    private func show(
        _ text: String, of reply: String, on stream: EventStream, _ length: inout Int, notifies: Bool = true
    ) throws -> Double {
        let began = now()
        try writer.add(text, to: reply, at: length, notifies: notifies)
        length += text.utf8.count
        #expect(try stream.next()?.text == text)
        return now() - began
    }

    private func median(of count: Int, _ measure: () throws -> Double) throws -> Double {
        try (0..<count).map { _ in try measure() }.sorted()[count / 2]
    }

    private func message(_ reply: String) throws -> JSONValue {
        let page = try backend.call("list-messages", room: room, token: person.token).json
        return try #require(page["messages"].list.first { $0["id"].text == reply })
    }

    private func text(of events: [EventStream.Event]) -> String { events.compactMap(\.text).joined() }

    private func descriptors(_ process: Executable) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/fd").count
    }

    /// The resident kilobytes of the process that streams.
    private func memory() throws -> Int {
        let process = try backend.endpoint("stream-reply").processes[0]
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let match = try #require(status.firstMatch(of: /VmRSS:\s+(\d+)/))
        return try #require(Int(match.output.1))
    }
}

extension EventStream {
    /// Whether it is open and nothing but comments comes for a while.
    fileprivate func nextIsSilent() throws -> Bool {
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
