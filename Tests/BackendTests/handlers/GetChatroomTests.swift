import TestSupport
import Testing

@Suite(.threads)
struct GetChatroomTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `A room comes with its newest messages`() throws {
        let id = try backend.room(person, ["title": "Travel"])
        let reply = try backend.post("Hello", id, person)
        let answer = try backend.call("get-chatroom", room: id, token: person.token)
        #expect(answer.status == 200)
        #expect(answer.json["id"].text == id)
        #expect(answer.json["title"] == "Travel")
        #expect(answer.json["next_cursor"] == .null)
        let messages = answer.json["messages"].list
        #expect(messages.map { $0["role"].text } == ["model", "user"])
        #expect(messages[0]["id"].text == reply)
        #expect(messages[1]["content"] == "Hello")
        #expect(answer.json["updated_at"] == messages[0]["created_at"])
    }

    @Test
    func `An empty room has no messages`() throws {
        let id = try backend.room(person)
        let answer = try backend.call("get-chatroom", room: id, token: person.token)
        #expect(answer.json["messages"] == [])
        #expect(answer.json["created_at"] == answer.json["updated_at"])
    }

    @Test
    func `An id may be written in capitals`() throws {
        let id = try backend.room(person)
        #expect(try backend.call("get-chatroom", room: id.uppercased(), token: person.token).json["id"].text == id)
    }

    @Test
    func `Messages beyond the page have a cursor that goes on where it ends`() throws {
        let id = try backend.room(person)
        for number in 1...3 { _ = try backend.post("\(number)", id, person) }
        let first = try backend.call("get-chatroom", room: id, token: person.token, query: "limit=4").json
        #expect(first["messages"].list.count == 4)
        let cursor = try #require(first["next_cursor"].text)
        let rest = try backend.call(
            "list-messages", room: id, token: person.token, query: "limit=4&cursor=\(cursor)"
        ).json
        #expect(rest["messages"].list.map { $0["content"].text } == ["", "1"])
        #expect(rest["next_cursor"] == .null)
    }
}
