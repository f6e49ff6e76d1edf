import Common
import TestSupport
import Testing

@Suite(.threads)
struct CreateChatroomTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `A room is made`() throws {
        let answer = try create([
            "title": "Travel", "system_instruction": "Be brief.", "model": "gemini-3.5-flash-lite",
        ])
        #expect(answer.status == 201)
        let room = answer.json
        let names: Set = [
            "id", "title", "model", "system_instruction", "pinned", "archived", "retention_days",
            "created_at", "updated_at",
        ]
        #expect(room.names == names)
        #expect(room["title"] == "Travel")
        #expect(room["system_instruction"] == "Be brief.")
        #expect(room["model"] == "gemini-3.5-flash-lite")
        #expect(room["pinned"] == false && room["archived"] == false)
        let id = try #require(room["id"].text)
        #expect(try backend.call("get-chatroom", room: id, token: person.token).json["title"] == "Travel")
    }

    @Test
    func `Everything may be left out, and the model is then the operator's`() throws {
        let backend = try Backend(["GEMINI_MODEL": "gemini-4-argon"])
        let person = try backend.signIn()
        let room = try backend.call("create-chatroom", token: person.token, body: [:]).json
        #expect(room["title"] == .null)
        #expect(room["system_instruction"] == .null)
        #expect(room["model"] == "gemini-4-argon")
    }

    @Test
    func `A title has at most 100 characters`() throws {
        #expect(try create(["title": .string(String(repeating: "ß", count: 100))]).status == 201)
        let answer = try create(["title": .string(String(repeating: "ß", count: 101))])
        expectProblem(answer, 422)
        #expect(answer.json["errors"][0]["field"] == "title")
    }

    @Test
    func `A model that the operator does not allow is refused`() throws {
        let answer = try create(["model": "gemini-1.0-pro"])
        expectProblem(answer, 422)
        #expect(answer.json["errors"][0]["field"] == "model")
    }

    @Test
    func `A model that the plan does not include is refused, until it does`() throws {
        let backend = try Backend([
            "GEMINI_MODELS": "gemini-3.8-flash,gemini-3.5-flash-lite,gemini-3.8-pro",
            "PLAN_BASIC_MODELS": "gemini-3.5-flash-lite",
        ])
        let person = try backend.signIn()
        func create(_ model: String) throws -> Answer {
            try backend.call("create-chatroom", token: person.token, body: ["model": .string(model)])
        }
        // The model for rooms that chose none is everybody's.
        for model in ["gemini-3.5-flash-lite", "gemini-3.8-flash"] { #expect(try create(model).status == 201) }
        expectProblem(try create("gemini-3.8-pro"), 402, "plan_forbids")
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from chatrooms") == 2)
        try backend.upgrade(person)
        #expect(try create("gemini-3.8-pro").json["model"] == "gemini-3.8-pro")
    }

    @Test
    func `Text comes back as it was sent`() throws {
        let title = #"quote " backslash \ newline \#n emoji 👩‍👩‍👧 Ω ; drop table users; -- $1 {} "#
        let room = try create(["title": .string(title), "unknown": [1, 2]])
        #expect(room.status == 201)
        #expect(room.json["title"].text == title)
    }

    private func create(_ body: JSONValue) throws -> Answer {
        try backend.call("create-chatroom", token: person.token, body: body)
    }
}
