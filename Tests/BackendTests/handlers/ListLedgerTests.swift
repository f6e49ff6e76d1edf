import Common
import TestSupport
import Testing

@Suite(.threads)
struct ListLedgerTests {
    let world: World

    init() throws {
        world = try World(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "100", "PLAN_BASIC_MESSAGES_PER_MINUTE": "0"])
    }

    @Test
    func `The receipts of a message are listed, the newest first`() throws {
        let worker = try world.backend.worker()
        let reply = try world.ask("Hello")
        let answer = try list()
        #expect(answer.status == 200 && answer.json.names == ["entries", "next_cursor"])
        let (charge, reserve) = (answer.json["entries"][0], answer.json["entries"][1])
        #expect(answer.json["entries"].list.count == 2 && answer.json["next_cursor"] == .null)
        let names: Set = [
            "id", "kind", "amount", "reason", "message_id", "chatroom_id", "day", "tokens", "created_at",
        ]
        #expect(charge.names == names && reserve.names == names)
        #expect(reserve["kind"] == "reserve" && reserve["amount"] == 1 && reserve["reason"] == "message")
        #expect(charge["kind"] == "charge" && charge["amount"] == 0 && charge["reason"] == "done")
        for entry in [charge, reserve] {
            #expect(entry["message_id"] == reply["id"] && entry["chatroom_id"].text == world.room)
            // That of the message, also where the reply came in the next.
            #expect(entry["day"].text == reserve["created_at"].text.map { String($0.prefix(10)) })
        }
        #expect(reserve["tokens"] == .null)
        #expect(charge["tokens"]["total"] == reply["usage"]["total_tokens"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Pages show everything once, while receipts arrive`() throws {
        for _ in 0..<10 { try arrive() }
        let before = try list("limit=100").json["entries"].list.compactMap { $0["id"].text }
        var seen: [String] = []
        var cursor: String? = ""
        while let place = cursor {
            let page = try list("limit=3&cursor=\(place)").json
            #expect(page["entries"].list.count <= 3)
            seen += page["entries"].list.compactMap { $0["id"].text }
            cursor = page["next_cursor"].text
            try arrive()
        }
        #expect(seen == before && seen.count == 10)
    }

    @Test
    func `What others sent is not shown`() throws {
        try arrive()
        let stranger = try world.backend.signIn()
        #expect(try world.backend.call("list-ledger", token: stranger.token).json["entries"] == [])
        #expect(try list().json["entries"].list.count == 1)
    }

    @Test(arguments: ["limit=0", "limit=x", "cursor=x"])
    func `A page that cannot be is refused by name`(query: String) throws {
        let answer = try list(query)
        expectProblem(answer, 422, nil, query)
        #expect(answer.json["errors"][0]["field"].text == query.split(separator: "=").first.map(String.init))
    }

    private func list(_ query: String = "") throws -> Answer {
        try world.backend.call("list-ledger", token: world.person.token, query: query)
    }

    private func arrive() throws { _ = try world.backend.post("Hello", world.room, world.person) }
}
