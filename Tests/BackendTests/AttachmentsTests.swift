import Common
import Foundation
import TestSupport
import Testing

/// Messages and what is attached to them.
@Suite(.threads)
struct AttachmentsTests {
    let conversation: Conversation
    var backend: Backend { conversation.backend }
    var person: Backend.Person { conversation.person }
    var room: String { conversation.room }
    var database: Database { conversation.database }

    init() throws { conversation = try Conversation(["ATTACHMENTS_MB_PER_CALL": "1"], processes: 3) }

    @Test
    func `A message has what was uploaded for it, in its order, wherever it is shown`() throws {
        let uploads = try [Files.pdf, Files.png, Files.jpeg].map { try backend.upload($0, person, name: "x") }
        let ids = [uploads[2], uploads[0], uploads[1]]
        let answer = try send("Look", ids)
        #expect(answer.status == 202)
        let message = answer.json["message"]
        #expect(message["attachments"].list.map { $0["id"].text } == ids)
        #expect(
            message["attachments"][1] == [
                "id": .string(uploads[0]), "media_type": "application/pdf", "bytes": .number(Double(Files.pdf.count)),
                "name": "x",
            ])
        #expect(answer.json["reply"]["attachments"] == [])
        #expect(try conversation.shown() == [message, answer.json["reply"]])
        #expect(try conversation.call("get-chatroom").json["messages"][1] == message)
        let id = try #require(message["id"].text)
        let got = try conversation.call("get-message", id).json
        #expect(got["attachments"] == message["attachments"])
    }

    @Test
    func `A message without any says so`() throws {
        for body: JSONValue in [
            ["content": "x"], ["content": "x", "attachments": .null], ["content": "x", "attachments": []],
        ] {
            let answer = try conversation.call("send-message", body: body)
            #expect(answer.status == 202 && answer.json["message"]["attachments"] == [])
        }
        #expect(try database.row(Int.self, "select count(attachments) from messages") == 0)
    }

    @Test
    func `What cannot be attached is refused, and nothing is sent or claimed`() throws {
        let (mine, used) = (try backend.upload(Files.png, person), try backend.upload(Files.png, person))
        #expect(try send("First", [used]).status == 202)
        let theirs = try backend.upload(Files.png, backend.signIn())
        let nowhere = "00000000-0000-7000-8000-000000000000"
        let eleven = try (0..<11).map { _ in try backend.upload(Files.png, person) }
        let before = try backend.database.dump().sorted()
        for ids in [[theirs], [nowhere], [used], [mine, used], [theirs, mine], [mine, mine], eleven] {
            let answer = try send("Second", ids)
            expectProblem(answer, 422, "invalid", "\(ids)")
            #expect(answer.json["errors"][0]["field"] == "attachments")
        }
        let lists: [JSONValue] = ["x", ["x"], [1], [.null], [[]], [:], 1, true, [.string("\(mine)\u{0}")]]
        for list in lists {
            let answer = try conversation.call("send-message", body: ["content": "x", "attachments": list])
            expectProblem(answer, 422, "invalid", "\(list)")
            #expect(answer.json["errors"][0]["field"] == "attachments")
        }
        // In a room that is another's, it is not even looked at.
        let stranger = try backend.signIn()
        let answer = try backend.send("x", [backend.upload(Files.png, stranger)], to: room, stranger)
        expectProblem(answer, 404, "not_found")
        let after = try backend.database.dump().sorted().filter {
            !$0.contains(stranger.id) && !$0.contains(stranger.mobile)
        }
        #expect(after == before)
        #expect(try send("Third", Array(eleven.prefix(10))).status == 202)
    }

    @Test
    func `All of a message fit into one call, or it is refused`() throws {
        let ids = try [600_000, 448_576, 1].map { try backend.upload(Files.png(of: max($0, 57)), person) }
        let answer = try send("Look", ids)
        expectProblem(answer, 422, "invalid")
        #expect(answer.json["detail"].text?.contains("1 MB") == true)
        #expect(try send("Look", Array(ids.prefix(2))).status == 202)
    }

    @Test
    func `Of many messages that want the same attachment one gets it`() throws {
        let (conversation, backend, room, person) = (conversation, backend, room, person)
        let rooms = try [room, room, backend.room(person), backend.room(person)]
        for round in 0..<10 {
            let ids = try (0..<3).map { _ in try backend.upload(Files.png, person) }
            let statuses = try concurrently(8) { index in
                // In any order.
                try backend.send(
                    "\(round)", index % 2 == 0 ? ids : ids.reversed(), to: rooms[index % 4], person
                ).status
            }
            #expect(statuses.filter { $0 == 202 }.count == 1 && statuses.filter { $0 == 422 }.count == 7, "\(statuses)")
            try conversation.finish()
        }
        #expect(try database.row(Int.self, "select count(*) from messages where attachments is not null") == 10)
    }

    @Test
    func `A message that is edited keeps its attachments, and shares them with the one before`() throws {
        let id = try backend.upload(Files.png, person, name: "x")
        let sent = try send("Look", [id]).json["message"]
        try conversation.finish()
        let edited = try conversation.call("edit-message", sent["id"].text, body: ["content": "Look here"])
        #expect(edited.json["message"]["attachments"] == sent["attachments"])
        #expect(try conversation.shown()[0] == edited.json["message"])
        try conversation.finish()
        let again = try conversation.call("regenerate-reply", edited.json["reply"]["id"].text)
        #expect(again.json["message"]["attachments"] == sent["attachments"])
        #expect(again.json["reply"]["attachments"] == [])
        #expect(try database.row(Int.self, "select count(*) from attachments") == 1)
    }

    @Test
    func `An edit keeps the attachments that it lists, in their order, and all where it lists none`() throws {
        let ids = try (0..<3).map { try backend.upload(Files.png, person, name: "\($0)") }
        let question = try send("Look", ids).json["message"]["id"].text
        try conversation.finish()
        func edit(_ attachments: JSONValue?) throws -> Answer {
            var body: [String: JSONValue] = ["content": "Look here"]
            body["attachments"] = attachments
            return try conversation.call("edit-message", question, body: .object(body))
        }
        let kept: [(JSONValue?, [String])] = [
            (.array([.string(ids[2]), .string(ids[0])]), [ids[0], ids[2]]), ([], []), (nil, ids), (.null, ids),
        ]
        for (attachments, expected) in kept {
            let edited = try edit(attachments)
            #expect(edited.json["message"]["attachments"].list.map { $0["id"].text } == expected)
            #expect(try conversation.shown()[0] == edited.json["message"])
            try conversation.finish()
        }
        // What it had is there as before.
        #expect(try conversation.call("get-message", question).json["attachments"].list.count == 3)
        #expect(try database.row(Int.self, "select count(*) from attachments") == 3)
    }

    @Test
    func `An edit takes no attachments but those of its message`() throws {
        let mine = try backend.upload(Files.png, person)
        let question = try send("Look", [mine]).json["message"]["id"].text
        let reply = try conversation.ids().last
        let (free, theirs) = (try backend.upload(Files.png, person), try backend.upload(Files.png, backend.signIn()))
        let other = try backend.upload(Files.png, person)
        #expect(try send("Another", [other]).status == 202)
        try conversation.finish()
        let before = try backend.database.dump()
        for ids in [[free], [theirs], [other], [mine, other], [mine, mine], ["x"]] {
            let answer = try conversation.call(
                "edit-message", question,
                body: ["content": "x", "attachments": .array(ids.map { .string($0) })])
            expectProblem(answer, 422, "invalid", "\(ids)")
            #expect(answer.json["errors"][0]["field"] == "attachments")
        }
        expectProblem(
            try conversation.call("edit-message", reply, body: ["content": "x", "attachments": [.string(free)]]), 409,
            "not_a_question")
        #expect(try backend.database.dump() == before)
    }

    // MARK: Deletion

    @Test
    func `An attachment goes with the last message that has it`() throws {
        let ids = try (0..<2).map { _ in try backend.upload(Files.png, person) }
        let first = try #require(try send("Look", ids).json["message"]["id"].text)
        try conversation.finish()
        let second = try conversation.edit(first, "Look here").question
        let alone = try backend.upload(Files.png, person)
        #expect(try send("Also", [alone]).status == 202)
        try database.execute("delete from messages where id = \(first)::uuid")
        #expect(try database.row(Int.self, "select count(*) from attachments") == 3)
        try database.execute("delete from messages where id = \(second)::uuid")
        #expect(try database.rows(String.self, "select id from attachments") == [alone])
        #expect(try database.rows(String.self, "select attachment_id from attachment_pieces") == [alone])
    }

    @Test
    func `A room takes its attachments with it, and leaves those of others`() throws {
        let other = try backend.room(person)
        let kept = try [backend.upload(Files.png, person), backend.upload(Files.png, person)]
        #expect(try backend.send("Look", [kept[0]], to: other, person).status == 202)
        #expect(try send("Look", [backend.upload(Files.png, person)]).status == 202)
        try database.execute(
            """
            with messages as (delete from messages where chatroom_id = \(room))
            delete from chatrooms where id = \(room)
            """)
        #expect(try database.rows(String.self, "select id from attachments order by id") == kept.sorted())
        #expect(try database.row(Int.self, "select count(*) from attachment_pieces") == 2)
    }

    private func send(_ content: String, _ attachments: [String]) throws -> Answer {
        try backend.send(content, attachments, to: room, person)
    }
}
