import Common
import TestSupport
import Testing

@Suite(.threads)
struct RevokeShareTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `From the next request on the link leads nowhere, and others do`() throws {
        let (revoked, kept) = (try conversation.share(), try conversation.share())
        let answer = try conversation.revoke(revoked.share)
        #expect(answer.status == 204 && answer.body.isEmpty)
        expectProblem(try conversation.shared(revoked.token), 404, "not_found")
        #expect(try conversation.shared(kept.token).status == 200)
        expectProblem(try conversation.revoke(revoked.share), 404, "not_found")
    }

    @Test
    func `Another's is not there`() throws {
        let (share, token) = try conversation.share()
        expectProblem(try conversation.revoke(share, by: conversation.backend.signIn()), 404, "not_found")
        for wrong in ["", "x", "00000000-0000-7000-8000-000000000000"] {
            expectProblem(try conversation.revoke(["id": .string(wrong)]), 404, "not_found", wrong)
        }
        expectProblem(
            try conversation.backend.call("revoke-share", path: ["SHARE_ID": share["id"].text ?? ""]), 401,
            "token_missing")
        #expect(try conversation.shared(token).status == 200)
        try conversation.database.execute("update sessions set ended_at = now()")
        expectProblem(try conversation.revoke(share), 401, "session_ended")
        #expect(try conversation.shared(token).status == 200)
    }

    @Test
    func `One that is in the trash with its room can be revoked too`() throws {
        let (share, token) = try conversation.share()
        _ = try conversation.call("delete-chatroom")
        #expect(try conversation.revoke(share).status == 204)
        _ = try conversation.call("restore-chatroom", body: [:])
        expectProblem(try conversation.shared(token), 404, "not_found")
    }
}
