import Common
import Foundation
import TestSupport
import Testing

/// Many who read, and who do not.
extension StreamReplyTests {
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
    func `A user has 20 streams; the next is 429 until one of them ends`() throws {
        let backend = try Backend(["LIMITS": "on"], database: backend.database)
        let reply = try running()
        func ask(_ person: Backend.Person, _ room: String, _ reply: String) throws -> FastCGI {
            let connection = try FastCGI(backend.endpoint("stream-reply").listener.path)
            connection.sendRequest(Backend.parameters(room: room, message: reply, token: person.token))
            return connection
        }
        var streams = try (0..<20).map { _ in try ask(person, room, reply) }
        for stream in streams { #expect(try stream.receive() != nil) }
        let refused = try ask(person, room, reply).answer()
        expectProblem(refused, 429, "stream_limit_reached")
        #expect(refused.header("Retry-After") == "5")
        // Another's is not theirs.
        let other = try backend.signIn()
        let theirRoom = try backend.room(other)
        let theirs = try ask(other, theirRoom, backend.post("Hello", theirRoom, other))
        #expect(String(decoding: try theirs.receive() ?? [], as: UTF8.self).contains("Status: 200"))
        streams.removeLast().hangUp()
        try eventually("room for another") {
            let bytes = try ask(person, room, reply).receive() ?? []
            return String(decoding: bytes, as: UTF8.self).contains("Status: 200")
        }
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
}
