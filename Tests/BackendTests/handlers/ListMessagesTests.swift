import TestSupport
import Testing

@Suite(.threads)
struct ListMessagesTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person)
    }

    @Test
    func `Messages are listed, the newest first`() throws {
        for text in ["one", "two"] { _ = try backend.post(text, room, person) }
        let answer = try list()
        #expect(answer.status == 200)
        #expect(answer.json.names == ["messages", "next_cursor"])
        #expect(answer.json["messages"].list.map { $0["content"].text } == ["", "two", "", "one"])
        #expect(answer.json["next_cursor"] == .null)
    }

    @Test
    func `Pages show everything once, while messages arrive`() throws {
        for number in 1...10 { _ = try backend.post("\(number)", room, person) }
        let before = try list("limit=100").json["messages"].list.compactMap { $0["id"].text }
        var seen: [String] = []
        var cursor: String? = ""
        var pages = 0
        while let place = cursor {
            let page = try list("limit=3&cursor=\(place)").json
            seen += page["messages"].list.compactMap { $0["id"].text }
            cursor = page["next_cursor"].text
            pages += 1
            _ = try backend.post("in between", room, person)
        }
        #expect(pages == 7)
        #expect(seen == before)
    }

    @Test
    func `A room's messages are not another's`() throws {
        let other = try backend.room(person)
        _ = try backend.post("elsewhere", other, person)
        #expect(try list().json["messages"] == [])
    }

    @Test(arguments: [
        "limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=99999999999999999999", "cursor=x",
        "cursor=bm90IGFuIGlk", "cursor=%00", "cursor=%FF", "cursor=!!!", "cursor=AAAA",
    ])
    func `A page that cannot be is refused by name`(query: String) throws {
        let answer = try list(query)
        expectProblem(answer, 422, nil, query)
        #expect(answer.json["errors"][0]["field"].text == query.split(separator: "=").first.map(String.init))
    }

    @Test
    func `A room without messages is an empty list, and one that is not there is 404`() throws {
        #expect(try list().json["messages"] == [])
        let answer = try backend.call(
            "list-messages", room: "00000000-0000-7000-8000-000000000000", token: person.token)
        expectProblem(answer, 404, "not_found")
    }

    private func list(_ query: String = "") throws -> Answer {
        try backend.call("list-messages", room: room, token: person.token, query: query)
    }
}
