import Common
import TestSupport
import Testing

@Suite(.threads)
struct ListSharesTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `What one shares is listed with its links, the newest first, and nothing of another's`() throws {
        let shares = try (0..<3).map { _ in try conversation.share().share }
        let stranger = try conversation.backend.signIn()
        let answer = try conversation.call("list-shares")
        #expect(answer.status == 200)
        #expect(answer.json == ["shares": .array(shares.reversed()), "next_cursor": .null])
        let theirs = try conversation.backend.call("list-shares", token: stranger.token)
        #expect(theirs.json == ["shares": [], "next_cursor": .null])
    }

    @Test
    func `It comes in pages, of which none skips or repeats one`() throws {
        let shares = try (0..<7).map { _ in try conversation.share().share }
        var (listed, cursor): ([JSONValue], String?) = ([], "")
        while let place = cursor {
            let page = try conversation.call("list-shares", query: "limit=3&cursor=\(place)").json
            listed += page["shares"].list
            cursor = page["next_cursor"].text
            // What is shared meanwhile is not among those that are older.
            if listed.count == 3 { _ = try conversation.share() }
        }
        #expect(listed == shares.reversed())
        expectProblem(try conversation.call("list-shares", query: "limit=0"), 422)
        expectProblem(try conversation.call("list-shares", query: "cursor=x"), 422)
    }

    @Test
    func `What is over, revoked or in the trash is not listed`() throws {
        let shares = try (0..<3).map { _ in try conversation.share().share }
        try conversation.database.execute(
            "update shares set expires_at = now() where id = \(shares[0]["id"].text)::uuid")
        #expect(try conversation.revoke(shares[1]).status == 204)
        #expect(try conversation.call("list-shares").json["shares"] == [shares[2]])
        _ = try conversation.call("delete-chatroom")
        #expect(try conversation.call("list-shares").json["shares"] == [])
    }

    @Test
    func `Without a session there is none`() throws {
        expectProblem(try conversation.backend.call("list-shares"), 401, "token_missing")
        try conversation.database.execute("update sessions set ended_at = now()")
        expectProblem(try conversation.call("list-shares"), 401, "session_ended")
    }
}
