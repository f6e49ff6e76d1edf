import Common
import Foundation
import TestSupport
import Testing

/// Who was cut off comes back.
extension StreamReplyTests {
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
}
