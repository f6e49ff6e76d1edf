import TestSupport
import Testing

@Suite(.threads)
struct RestoreChatroomTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person, ["title": "Travel"])
    }

    @Test
    func `A room comes back with all that was in it, to where it stood`() throws {
        let worker = try backend.worker()
        let reply = try backend.reply(backend.post("Hello", room, person), room, person)
        _ = try backend.room(person, ["title": "Later"])
        let before = try backend.call("get-chatroom", room: room, token: person.token).json
        _ = try backend.call("delete-chatroom", room: room, token: person.token)
        let answer = try restore()
        #expect(answer.status == 200)
        #expect(answer.json["id"].text == room && answer.json["title"] == "Travel")
        #expect(try backend.call("get-chatroom", room: room, token: person.token).json == before)
        #expect(try backend.call("list-trash", token: person.token).json["chatrooms"] == [])
        let listed = try backend.call("list-chatrooms", token: person.token).json["chatrooms"].list
        #expect(listed.map { $0["title"].text } == ["Later", "Travel"])
        let message = try backend.call("get-message", room: room, message: reply["id"].text, token: person.token)
        #expect(message.json == reply)
        #expect(try backend.reply(backend.post("Go on", room, person), room, person)["status"] == "done")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A repeat with its key gets the same answer`() throws {
        _ = try backend.call("delete-chatroom", room: room, token: person.token)
        let answers = try (0..<2).map { _ in
            try backend.call(
                "restore-chatroom", room: room, token: person.token, headers: ["Idempotency-Key": "one"])
        }
        #expect(answers.map(\.status) == [200, 200] && answers[0].body == answers[1].body)
        #expect(answers[1].header("Idempotent-Replay") == "true")
    }

    @Test
    func `What is not in the trash is 404`() throws {
        expectProblem(try restore(), 404, "not_found")
        _ = try backend.call("delete-chatroom", room: room, token: person.token)
        #expect(try restore().status == 200)
        expectProblem(try restore(), 404, "not_found")
        #expect(try backend.call("get-chatroom", room: room, token: person.token).status == 200)
    }

    @Test
    func `Of restoring and purging at once one happens`() throws {
        let (backend, person) = (backend, person)
        for _ in 0..<10 {
            let room = try backend.room(person)
            _ = try backend.post("Hello", room, person)
            _ = try backend.call("delete-chatroom", room: room, token: person.token)
            let statuses = try concurrently(2) { index in
                try backend.call(
                    index == 0 ? "restore-chatroom" : "purge-chatroom", room: room, token: person.token
                ).status
            }
            #expect([[200, 404], [404, 204]].contains(statuses), "\(statuses)")
            let left = try backend.call("get-chatroom", room: room, token: person.token)
            #expect(left.status == (statuses[0] == 200 ? 200 : 404))
            if left.status == 200 { #expect(left.json["messages"].list.count == 2) }
        }
    }

    private func restore() throws -> Answer { try backend.call("restore-chatroom", room: room, token: person.token) }
}
