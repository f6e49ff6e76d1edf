import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct SendMessageTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person)
    }

    @Test
    func `A message is accepted, with the reply that is to come`() throws {
        let answer = try send("Hello")
        #expect(answer.status == 202)
        let (message, reply) = (answer.json["message"], answer.json["reply"])
        let names: Set = [
            "id", "chatroom_id", "role", "content", "status", "error", "finish_reason", "model", "usage", "siblings",
            "attachments", "created_at", "completed_at",
        ]
        #expect(message.names == names && reply.names == names)
        #expect(message["role"] == "user" && message["content"] == "Hello" && message["status"] == "done")
        #expect(reply["role"] == "model" && reply["content"] == "" && reply["status"] == "queued")
        #expect(reply["completed_at"] == .null && reply["chatroom_id"].text == room)
        let id = try #require(reply["id"].text)
        #expect(answer.header("Location") == "/chatroom/\(room)/message/\(id)")
        #expect(try backend.call("get-message", room: room, message: id, token: person.token).status == 200)
    }

    @Test
    func `Message, reply and job are stored together`() throws {
        let answer = try send("Hello")
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from messages") == 2)
        let job = try database.row(
            String.self, "select concat_ws(' ', user_id, lane, id, kind, state, attempts) from jobs")
        #expect(job == "\(person.id) \(room) \(answer.json["reply"]["id"].text ?? "") reply ready 0")
    }

    @Test
    func `Nothing is stored where the message is refused`() throws {
        expectProblem(try send(""), 422)
        expectProblem(try send(String(repeating: "x", count: 32_001)), 422)
        let stranger = try backend.signIn()
        let answer = try backend.call("send-message", room: room, token: stranger.token, body: ["content": "Hello"])
        expectProblem(answer, 404, "not_found")
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from messages") == 0)
        #expect(try database.row(Int.self, "select count(*) from jobs") == 0)
    }

    @Test
    func `The longest message is taken, in any script`() throws {
        let content = String(repeating: "😀", count: 32_000)
        let answer = try send(content)
        #expect(answer.status == 202)
        #expect(answer.json["message"]["content"].text == content)
    }

    @Test
    func `Messages sent one after the other keep their order`() throws {
        var ids: [String] = []
        for number in 1...20 {
            let answer = try send("\(number)").json
            ids += [answer["message"]["id"].text ?? "", answer["reply"]["id"].text ?? ""]
        }
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == 40)
    }

    @Test
    func `The worker is told of every message, and of none that is refused`() throws {
        let bell = try #require(Doorbell.listen(at: "\(backend.folder.path)/doorbell"))
        defer { close(bell) }
        func rung() -> Int {
            var (byte, count): (UInt8, Int) = (0, 0)
            while recv(bell, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 { count += 1 }
            return count
        }
        #expect(try (1...4).map { try (send("\($0)").status, rung()).1 } == [1, 1, 1, 1])
        #expect(try send("").status == 422)
        #expect(rung() == 0)
    }

    @Test
    func `Messages sent at once are all stored, each before its reply`() throws {
        let backend = try Backend(processes: 4)
        let person = try backend.signIn()
        let room = try backend.room(person)
        let answers = try concurrently(40) { number in
            try backend.call("send-message", room: room, token: person.token, body: ["content": .string("\(number)")])
        }
        #expect(answers.allSatisfy { $0.status == 202 })
        for answer in answers {
            #expect(answer.json["message"]["id"].text ?? "z" < answer.json["reply"]["id"].text ?? "")
        }
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from messages") == 80)
        #expect(try database.row(Int.self, "select count(*) from jobs") == 40)
    }

    private func send(_ content: String) throws -> Answer {
        try backend.call("send-message", room: room, token: person.token, body: ["content": .string(content)])
    }
}
