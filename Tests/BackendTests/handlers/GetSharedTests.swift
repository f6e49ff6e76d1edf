import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct GetSharedTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `Whoever has the link reads what was said, and nothing of who said it`() throws {
        let id = try conversation.backend.upload(Files.png, conversation.person)
        _ = try conversation.backend.send("Hello, \"naïve\"\n😀 <b>", [id], to: conversation.room, conversation.person)
        try conversation.finish()
        let (share, token) = try conversation.share()
        let answer = try conversation.shared(token)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["title", "created_at", "expires_at", "messages"])
        #expect(answer.json["created_at"] == share["created_at"] && answer.json["expires_at"] == share["expires_at"])
        let messages = answer.json["messages"].list
        #expect(messages.allSatisfy { $0.names == ["role", "content", "created_at"] })
        #expect(messages.map { $0["content"].text } == ["Hello, \"naïve\"\n😀 <b>", "answer"])
        #expect(answer.header("Cache-Control") == "no-store" && answer.header("X-Robots-Tag") == "noindex")
        for secret in [
            conversation.person.id, conversation.person.mobile, conversation.room, id, share["id"].text ?? "",
        ] {
            #expect(!answer.text.contains(secret))
        }
    }

    @Test
    func `Whatever becomes of the room's messages, it stays as it was`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let token = try conversation.share().token
        let before = try conversation.shared(token)
        _ = try conversation.edit(sent.question, "Good day")
        _ = try conversation.send("More")
        _ = try conversation.call("update-chatroom", body: ["title": "Other"])
        try conversation.database.execute("delete from messages")
        #expect(try conversation.shared(token).body == before.body)
    }

    @Test
    func `What is unknown, over, revoked or in the trash cannot be told apart`() throws {
        let shares = try (0..<4).map { _ in try conversation.share() }
        try conversation.database.execute(
            "update shares set expires_at = now() where id = \(shares[0].share["id"].text)::uuid")
        #expect(try conversation.revoke(shares[1].share).status == 204)
        let unknown = Sodium.base64url(Sodium.random(32))
        var answers = try [unknown, shares[0].token, shares[1].token].map(conversation.shared)
        #expect(try conversation.shared(shares[2].token).status == 200)
        #expect(try conversation.call("delete-chatroom").status == 204)
        answers.append(try conversation.shared(shares[2].token))
        for answer in answers {
            expectProblem(answer, 404, "not_found")
            #expect(
                answer.json["detail"] == answers[0].json["detail"] && answer.headers.count == answers[0].headers.count)
        }
        // Out of the trash again, so are its links.
        let restored = try conversation.call("restore-chatroom", body: [:])
        #expect(restored.status == 200)
        #expect(try conversation.shared(shares[2].token).status == 200)
        _ = try conversation.call("delete-chatroom")
        #expect(try conversation.call("purge-chatroom").status == 204)
        #expect(try conversation.database.row(Int.self, "select count(*) from shares") == 0)
        expectProblem(try conversation.shared(shares[2].token), 404, "not_found")
    }

    @Test
    func `What is no token is 404 like one that is unknown`() throws {
        let token = try conversation.share().token
        for wrong in ["", "x", String(token.dropLast()), token + "A", token.lowercased(), "' or 1=1 --", "\u{1}", "é"] {
            expectProblem(try conversation.shared(wrong), 404, "not_found", wrong)
        }
        #expect(try conversation.shared(token).status == 200)
    }

    @Test
    func `Keys that rotate take no link away, and links of the old one are still told`() throws {
        let (share, token) = try conversation.share()
        let database = conversation.backend.database
        let new = Data("a third key, of tests alone, 32 bytes".utf8).base64EncodedString()
        let kept = conversation.backend.settings["TOKEN_KEYS"] ?? ""
        let rotated = try Backend(["TOKEN_KEYS": "third:\(new),\(kept)"], database: database)
        let list = try rotated.call("list-shares", token: conversation.person.token)
        #expect(list.json["shares"][0] == share)
        // The key is gone: nobody can be told the link any more, but it is good.
        let gone = try Backend(["TOKEN_KEYS": "third:\(new)", "OTP_RESEND_SECONDS": "0"], database: database)
        let person = try gone.signIn(mobile: conversation.person.mobile)
        #expect(try gone.call("list-shares", token: person.token).json["shares"][0]["url"] == .null)
        #expect(try gone.call("get-shared", path: ["SHARE_TOKEN": token]).status == 200)
    }

    @Test
    func `One that is over is deleted by the worker`() throws {
        let shares = try (0..<2).map { _ in try conversation.share() }
        try conversation.database.execute(
            "update shares set expires_at = now() where id = \(shares[0].share["id"].text)::uuid")
        let worker = try conversation.backend.worker()
        try eventually("the purge") { try conversation.database.row(Int.self, "select count(*) from shares") == 1 }
        withExtendedLifetime(worker) {}
    }
}
