import Common
import Foundation
import TestSupport
import Testing

/// What is attached to messages, on its way to Gemini.
@Suite(.threads)
struct InlineDataTests {
    @Test
    func `Gemini gets the bytes of what is attached, before the text of its message`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let (picture, document) = (Files.png(of: 300_000), Files.pdf)
        let reply = try world.ask("What is this? \"x\"", with: [picture, document])
        #expect(reply["status"] == "done")
        #expect(reply["content"].text?.contains("file: `image/png`, 300000 bytes") == true)
        #expect(reply["content"].text?.contains("file: `application/pdf`, \(document.count) bytes") == true)
        let sent = try #require(try world.backend.gemini().requests().last)
        let parts = sent.body["contents"][0]["parts"].list
        #expect(parts.map { $0["inlineData"]["mimeType"].text } == ["image/png", "application/pdf", nil])
        #expect(parts[0]["inlineData"]["data"].text == Data(picture).base64EncodedString())
        #expect(parts[1]["inlineData"]["data"].text == Data(document).base64EncodedString())
        #expect(parts[2] == ["text": "What is this? \"x\""])
        #expect(sent.headers["transfer-encoding"] == .missing && sent.headers["expect"] == .missing)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `They go along again with what follows, with other words and with another reply`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        _ = try world.ask("Look", with: [Files.png])
        _ = try world.ask("And now?")
        let messages = try world.backend.call("list-messages", room: world.room, token: world.person.token).json[
            "messages"]
        let (question, reply) = (try #require(messages[3]["id"].text), try #require(messages[2]["id"].text))
        let edited = try world.backend.call(
            "edit-message", room: world.room, message: question, token: world.person.token,
            body: ["content": "Look here"])
        let again = try world.backend.call(
            "regenerate-reply", room: world.room, message: reply, token: world.person.token)
        for answer in [edited, again] {
            _ = try world.backend.reply(#require(answer.json["reply"]["id"].text), world.room, world.person)
        }
        let requests = try world.backend.gemini().requests()
        #expect(requests.count == 4)
        for request in requests {
            let parts = request.body["contents"][0]["parts"].list
            #expect(parts.map { $0["inlineData"]["mimeType"].text } == ["image/png", nil])
        }
        #expect(requests[1].body["contents"].list.map { $0["parts"].list.count } == [2, 1, 1])
        #expect(
            requests.map { $0.body["contents"][0]["parts"][1]["text"].text } == ["Look", "Look", "Look here", "Look"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Of all attachments of a conversation the newest go along that fit into one call`() throws {
        let world = try World(["ATTACHMENTS_MB_PER_CALL": "1"])
        let worker = try world.backend.worker()
        // The second and the third fit together; none that is older goes when one does not.
        for (text, size) in [("one", 100), ("two", 600_000), ("three", 448_576), ("four", 57)] {
            _ = try world.ask(text, with: [Files.png(of: size)])
        }
        let sizes = try world.backend.gemini().requests().map { request in
            request.body["contents"].list.filter { $0["role"] == "user" }.map { $0["parts"].list.count - 1 }
        }
        #expect(sizes == [[1], [1, 1], [0, 1, 1], [0, 0, 1, 1]])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `They count in the context's budget of tokens`() throws {
        let world = try World(["CONTEXT_TOKENS": "2000", "SUMMARIES": "off"])
        let worker = try world.backend.worker()
        _ = try world.ask("[sandbox:say] one", with: [Files.png])
        _ = try world.ask("[sandbox:say] two", with: [Files.png])
        let last = try #require(try world.backend.gemini().requests().last)
        #expect(last.turns.count == 1 && last.body["contents"][0]["parts"][1]["text"] == "[sandbox:say] two")
        let tokens = try world.database.row(
            Int.self, "select (provenance ->> 'tokens')::int from messages where role = 'model' order by id limit 1")
        #expect((1_120..<1_140).contains(tokens ?? 0))
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A call that fails is made again with all of them`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let file = Files.png(of: 200_000)
        for failure in ["error code=503", "drop", "reset", "truncate"] {
            let reply = try world.ask("[sandbox:\(failure) times=1] Look", with: [file])
            #expect(reply["status"] == "done", "\(failure)")
        }
        let requests = try world.backend.gemini().requests()
        #expect(requests.count == 8)
        for request in requests {
            let parts = try #require(request.body["contents"].list.last)["parts"]
            #expect(parts[0]["inlineData"]["data"].text == Data(file).base64EncodedString())
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `One that is deleted before it is sent ends its call, and no other`() throws {
        let world = try World(["REPLY_ATTEMPTS": "1"])
        let upload = try world.backend.upload(Files.png(of: 200_000), world.person)
        let sent = try world.backend.send("Look", [upload], to: world.room, world.person)
        try world.database.execute("delete from attachment_pieces where number = 1")
        let worker = try world.backend.worker()
        let reply = try world.backend.reply(#require(sent.json["reply"]["id"].text), world.room, world.person)
        #expect(reply["status"] == "failed")
        #expect(worker.error.contains("a request cannot be sent whole"))
        let other = try world.backend.room(world.person)
        #expect(try world.ask("Hello", in: other)["status"] == "done")
    }

    @Test
    func `Forty calls with 3 MB each take no more memory than forty without`() throws {
        let world = try World()
        try world.database.execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users on conflict do nothing")
        let file = Files.png(of: 3 << 20)
        let rooms = try (0..<40).map { _ in try world.backend.room(world.person) }
        func askAll(_ text: String, with files: [[UInt8]]) throws -> Int {
            let posts = try rooms.map { room in
                let ids = try files.map { try world.backend.upload($0, world.person) }
                let answer = try world.backend.send(text, ids, to: room, world.person)
                return (try #require(answer.json["reply"]["id"].text), room)
            }
            let worker = try world.backend.worker()
            for (reply, room) in posts {
                #expect(try world.backend.reply(reply, room, world.person)["status"] == "done")
            }
            let peak = try Memory.peak(worker)
            worker.terminate()
            try worker.wait()
            return peak
        }
        let without = try askAll("Hello", with: [])
        let with = try askAll("Look", with: [file])
        #expect(with < without + 20_000, "\(with) kB with attachments, \(without) kB without")
        print("40 calls at once: worker at \(without) kB, with 3 MB each at \(with) kB")
    }
}

extension World {
    /// Posts a message with these files and waits for its reply.
    func ask(_ content: String, with files: [[UInt8]]) throws -> JSONValue {
        let ids = try files.map { try backend.upload($0, person) }
        let answer = try backend.send(content, ids, to: room, person)
        guard let reply = answer.json["reply"]["id"].text else { throw Executable.Failure(answer.text) }
        return try backend.reply(reply, room, person)
    }
}
