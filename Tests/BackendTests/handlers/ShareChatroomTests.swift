import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct ShareChatroomTests {
    @Test
    func `A room is shared as it is, under a link that nobody guesses`() throws {
        let conversation = try Conversation()
        try conversation.database.execute("update chatrooms set title = 'Travel'")
        _ = try conversation.send("Hello")
        try conversation.finish()
        let (share, token) = try conversation.share()
        #expect(share.names == ["id", "chatroom_id", "title", "url", "created_at", "expires_at"])
        #expect(share["chatroom_id"].text == conversation.room && share["title"] == "Travel")
        #expect(share["url"].text == "/shared.html#\(token)")
        #expect(Sodium.decode(token)?.count == 32)
        let answer = try conversation.shared(token)
        #expect(answer.json["messages"].list.map { $0["content"].text } == ["Hello", "answer"])
        // Each is its own.
        #expect(try conversation.share().token != token)
    }

    @Test
    func `It lasts as long as was said, 30 days unless`() throws {
        let conversation = try Conversation(["SHARE_DAYS": "7"])
        let bodies: [(JSONValue, Int)] = [
            ([:], 7), (["expires_in_days": .null], 7), (["expires_in_days": 1], 1), (["expires_in_days": 365], 365),
        ]
        for (body, days) in bodies {
            let id = try #require(try conversation.share(body).share["id"].text)
            let lasts = try conversation.database.row(
                Int.self, "select extract(day from expires_at - created_at)::int from shares where id = \(id)::uuid")
            #expect(lasts == days)
        }
        for days: JSONValue in [0, -1, 366, .number(1.5), "30", true, [], [:], .number(1e300)] {
            let answer = try conversation.call("share-chatroom", body: ["expires_in_days": days])
            expectProblem(answer, 422, "invalid", "\(days)")
            #expect(answer.json["errors"][0]["field"] == "expires_in_days")
        }
        #expect(try conversation.database.row(Int.self, "select count(*) from shares") == 4)
    }

    @Test
    func `What is not said, or not shown, is not shared`() throws {
        let conversation = try Conversation()
        let first = try conversation.send("one")
        try conversation.finish()
        let edited = try conversation.edit(first.question, "two")
        try conversation.finish()
        let failed = try conversation.send("three")
        try conversation.database.execute(
            "with job as (delete from jobs) update messages set status = 'failed' where id = \(failed.reply)::uuid")
        _ = try conversation.send("four")
        let token = try conversation.share().token
        let messages = try conversation.shared(token).json["messages"].list
        #expect(messages.map { $0["content"].text } == ["two", "answer", "three", "four"])
        #expect(messages.map { $0["role"].text } == ["user", "model", "user", "user"])
        #expect(try conversation.call("choose-message", first.reply).status == 200)
        #expect(edited.question != first.question)
        #expect(
            try conversation.shared(conversation.share().token).json["messages"].list.map { $0["content"].text }
                == ["one", "answer"])
    }

    @Test
    func `Where the site is known, the link is whole, whatever Host was sent`() throws {
        let conversation = try Conversation(["PUBLIC_URL": "https://chat.example"])
        let answer = try conversation.call("share-chatroom", body: [:], headers: ["Host": "evil.example"])
        #expect(answer.json["url"].text?.hasPrefix("https://chat.example/shared.html#") == true)
        let relative = try Conversation()
        let other = try relative.call("share-chatroom", body: [:], headers: ["Host": "evil.example"])
        #expect(other.json["url"].text?.hasPrefix("/shared.html#") == true)
    }

    @Test(arguments: ["chat.example", "https://chat.example/", "javascript:alert(1)", "/"])
    func `An address that is none ends the process at its start`(url: String) throws {
        let folder = try Folder()
        let process = try Executable("list-shares", environment: ["PUBLIC_URL": url], folder: folder.path)
        #expect(try process.wait() == .code(78))
        #expect(process.error.contains("PUBLIC_URL"))
    }

    @Test
    func `There is an end to how many and how large`() throws {
        let conversation = try Conversation(["SHARES": "3", "SHARE_MB": "1"])
        _ = try conversation.send(String(repeating: "x", count: 30_000))
        for _ in 0..<3 { _ = try conversation.share() }
        expectProblem(try conversation.call("share-chatroom", body: [:]), 409, "too_many_shares")
        // Those that are over do not count.
        try conversation.database.execute("update shares set expires_at = now()")
        _ = try conversation.share()
        for _ in 0..<40 { _ = try conversation.send(String(repeating: "x", count: 30_000)) }
        expectProblem(try conversation.call("share-chatroom", body: [:]), 409, "share_too_large")
        #expect(try conversation.database.row(Int.self, "select count(*) from shares") == 4)
    }

    @Test
    func `Of twelve at once only as many are made as there may be`() throws {
        let conversation = try Conversation(["SHARES": "5"], processes: 4)
        let statuses = try concurrently(12) { _ in try conversation.call("share-chatroom", body: [:]).status }
        #expect(statuses.filter { $0 == 201 }.count == 5 && statuses.filter { $0 == 409 }.count == 7, "\(statuses)")
    }

    @Test
    func `Repeated with its key it is one share, whose link is told again`() throws {
        let conversation = try Conversation(processes: 3)
        let answers = try concurrently(12) { _ in
            try conversation.call("share-chatroom", body: [:], headers: ["Idempotency-Key": "one"])
        }
        #expect(answers.allSatisfy { $0.status == 201 } && Set(answers.map(\.text)).count == 1)
        #expect(answers[0].json["url"].text?.hasPrefix("/shared.html#") == true)
        #expect(try conversation.database.row(Int.self, "select count(*) from shares") == 1)
        expectProblem(
            try conversation.call(
                "share-chatroom", body: ["expires_in_days": 1], headers: ["Idempotency-Key": "one"]), 422,
            "idempotency_mismatch")
    }

    @Test
    func `The token is in no row of the database and in no log`() throws {
        let conversation = try Conversation()
        _ = try conversation.send("Hello")
        let answer = try conversation.call("share-chatroom", body: [:], headers: ["Idempotency-Key": "one"])
        let token = try #require(answer.json["url"].text?.split(separator: "#").last)
        #expect(try conversation.shared(String(token)).status == 200)
        #expect(try conversation.call("list-shares").text.contains(token))
        let export = try conversation.call("export-me").text
        #expect(export.contains("\"type\":\"share\"") && !export.contains(token))
        let rows = try conversation.backend.database.dump()
        #expect(rows.contains { $0.hasPrefix("shares ") } && !rows.contains { $0.contains(token) })
        for name in ["share-chatroom", "get-shared", "list-shares"] {
            #expect(try !conversation.backend.endpoint(name).processes[0].error.contains(token))
        }
        #expect(!conversation.backend.database.postgres.log.contains(token))
    }
}
