import TestSupport
import Testing

@Suite(.threads)
struct ListSecurityEventsTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        person = try backend.signIn()
    }

    @Test
    func `What happened to the account is listed, the newest first`() throws {
        let second = try backend.signIn(mobile: person.mobile)
        _ = try backend.call("logout", token: second.token, headers: ["User-Agent": "A tab"])
        let answer = try list()
        #expect(answer.status == 200)
        #expect(answer.json.names == ["events", "next_cursor"])
        let events = answer.json["events"].list
        #expect(events.map { $0["kind"].text } == ["signed_out", "signed_in", "signed_in"])
        #expect(events[0].names == ["id", "kind", "ip", "user_agent", "detail", "created_at"])
        #expect(events[0]["ip"] == "127.0.0.1")
        #expect(events[0]["user_agent"] == "A tab")
        #expect(events[0]["detail"]["session_id"] == (try Forged(second.token)).claims["sid"])
        #expect(answer.json["next_cursor"] == .null)
    }

    @Test
    func `Pages show everything once, while events arrive`() throws {
        for _ in 0..<9 { try arrive() }
        let before = try list("limit=100").json["events"].list.compactMap { $0["id"].text }
        var seen: [String] = []
        var cursor: String? = ""
        while let place = cursor {
            let page = try list("limit=3&cursor=\(place)").json
            #expect(page["events"].list.count <= 3)
            seen += page["events"].list.compactMap { $0["id"].text }
            cursor = page["next_cursor"].text
            try arrive()
        }
        #expect(seen == before && seen.count == 10)
    }

    @Test
    func `What happened to others is not shown`() throws {
        let stranger = try backend.signIn()
        let events = try backend.call("list-security-events", token: stranger.token).json["events"].list
        #expect(events.count == 1)
        #expect(try list().json["events"].list.count == 1)
        #expect(try list().json["events"][0]["id"] != events[0]["id"])
    }

    @Test(arguments: ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=bm90IGFuIGlk"])
    func `A page that cannot be is refused by name`(query: String) throws {
        let answer = try list(query)
        expectProblem(answer, 422, nil, query)
        #expect(answer.json["errors"][0]["field"].text == query.split(separator: "=").first.map(String.init))
    }

    private func arrive() throws {
        try backend.database.connect().execute(
            "insert into security_events (user_id, kind) values (\(person.id), 'exported')")
    }

    private func list(_ query: String = "") throws -> Answer {
        try backend.call("list-security-events", token: person.token, query: query)
    }
}
