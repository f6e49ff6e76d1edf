import Common
import TestSupport
import Testing

@Suite(.threads)
struct UpdateChatroomTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person, ["title": "Travel", "system_instruction": "Be brief."])
    }

    @Test
    func `What is named is changed and the rest stays`() throws {
        let answer = try update([
            "title": "Lisbon", "model": "gemini-3.5-flash-lite", "pinned": true, "retention_days": 30,
        ])
        #expect(answer.status == 200)
        let names: Set = [
            "id", "title", "model", "system_instruction", "pinned", "archived", "retention_days", "created_at",
            "updated_at",
        ]
        #expect(answer.json.names == names)
        #expect(answer.json["id"].text == room)
        #expect(answer.json["title"] == "Lisbon" && answer.json["system_instruction"] == "Be brief.")
        #expect(answer.json["model"] == "gemini-3.5-flash-lite" && answer.json["retention_days"] == 30)
        #expect(answer.json["pinned"] == true && answer.json["archived"] == false)
        #expect(answer.json["updated_at"] != answer.json["created_at"])
        let again = try update(["archived": true, "pinned": false])
        #expect(again.json["title"] == "Lisbon" && again.json["retention_days"] == 30)
        #expect(again.json["pinned"] == false && again.json["archived"] == true)
        let read = try backend.call("get-chatroom", room: room, token: person.token).json
        for name in names { #expect(read[name] == again.json[name], "\(name)") }
        let unchanged = try update([:])
        #expect(unchanged.status == 200 && unchanged.json["title"] == "Lisbon")
    }

    @Test
    func `What may be null is taken away by it`() throws {
        let set: JSONValue = ["model": "gemini-3.5-flash-lite", "retention_days": 1]
        #expect(try update(set).status == 200)
        let answer = try update(["title": .null, "system_instruction": .null, "model": .null, "retention_days": .null])
        #expect(answer.status == 200)
        #expect(answer.json["title"] == .null && answer.json["system_instruction"] == .null)
        #expect(answer.json["model"] == "gemini-3.8-flash" && answer.json["retention_days"] == .null)
    }

    @Test(
        arguments: [
            ("pinned", .null), ("archived", .null), ("pinned", 1), ("archived", "true"), ("retention_days", 0),
            ("retention_days", 3651), ("retention_days", -1), ("retention_days", .number(1.5)),
            ("retention_days", "30"),
            ("retention_days", .number(1e300)), ("model", "gemini-1.0-pro"), ("model", ""),
        ] as [(String, JSONValue)])
    func `What is out of range is refused by its name, and nothing is changed`(name: String, value: JSONValue) throws {
        let answer = try update(.object(["title": "Other", name: value]))
        expectProblem(answer, 422, "invalid")
        #expect(answer.json["errors"][0]["field"].text == name)
        #expect(try backend.call("get-chatroom", room: room, token: person.token).json["title"] == "Travel")
    }

    @Test
    func `A model that the plan does not include is 402, and nothing is changed`() throws {
        let backend = try Backend(["PLAN_BASIC_MODELS": "gemini-3.8-flash"])
        let person = try backend.signIn()
        let room = try backend.room(person, ["title": "Travel"])
        func update(_ model: JSONValue) throws -> Answer {
            try backend.call(
                "update-chatroom", room: room, token: person.token, body: ["title": "Other", "model": model])
        }
        expectProblem(try update("gemini-3.5-flash-lite"), 402, "plan_forbids")
        #expect(try backend.call("get-chatroom", room: room, token: person.token).json["title"] == "Travel")
        #expect(try update(.null).status == 200)
        #expect(try update("gemini-3.8-flash").status == 200)
        // Where there is no room, nothing is said of plans.
        let nowhere = "00000000-0000-7000-8000-000000000000"
        let body: JSONValue = ["model": "gemini-3.5-flash-lite"]
        expectProblem(
            try backend.call("update-chatroom", room: nowhere, token: person.token, body: body), 404, "not_found")
        try backend.database.connect().execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users")
        #expect(try update("gemini-3.5-flash-lite").status == 200)
    }

    @Test
    func `The next reply is made as the room is then`() throws {
        let worker = try backend.worker()
        _ = try update(["system_instruction": "Be long.", "model": "gemini-3.5-flash-lite"])
        _ = try backend.reply(backend.post("Hello", room, person), room, person)
        let request = try #require(try backend.gemini().requests().first)
        #expect(request.path.contains("gemini-3.5-flash-lite"))
        #expect(request.body["systemInstruction"]["parts"][0]["text"] == "Be long.")
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Two who change different members do not undo each other's`() throws {
        let (backend, person, room) = (backend, person, room)
        for round in 1...10 {
            let bodies: [JSONValue] = [
                ["title": "\(round)"], ["retention_days": .number(Double(round))], ["pinned": .bool(round % 2 == 0)],
            ]
            let statuses = try concurrently(3) { index in
                try backend.call("update-chatroom", room: room, token: person.token, body: bodies[index]).status
            }
            #expect(statuses == [200, 200, 200])
            let read = try backend.call("get-chatroom", room: room, token: person.token).json
            #expect(read["title"].text == "\(round)" && read["retention_days"].number == Double(round))
            #expect(read["pinned"] == .bool(round % 2 == 0))
        }
    }

    private func update(_ body: JSONValue) throws -> Answer {
        try backend.call("update-chatroom", room: room, token: person.token, body: body)
    }
}
