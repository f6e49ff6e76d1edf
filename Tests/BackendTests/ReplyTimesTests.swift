import Common
import Foundation
import TestSupport
import Testing

/// Whoever sorts by `created_at`, to the millisecond as browsers do, has the question before its reply.
@Suite(.threads)
struct ReplyTimesTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    private func milliseconds(_ message: JSONValue) throws -> Int {
        let format = ISO8601DateFormatter()
        format.formatOptions = [.withInternetDateTime]
        let text = try #require(message["created_at"].text)
        let (whole, fraction) = (text.prefix(19), text.dropFirst(20).prefix { $0.isNumber })
        let date = try #require(format.date(from: whole + "Z"))
        return Int(date.timeIntervalSince1970) * 1_000 + (Int((String(fraction) + "000").prefix(3)) ?? 0)
    }

    private func expectOrder(_ messages: [JSONValue], _ comment: Comment) throws {
        let times = try messages.map(milliseconds)
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 }, comment)
    }

    @Test
    func `A reply is later than its question, wherever they are told`() throws {
        let first = try conversation.call("send-message", body: ["content": "one"])
        try conversation.finish()
        let question = first.json["message"]["id"].text
        let edited = try conversation.call("edit-message", question, body: ["content": "two"])
        try conversation.finish()
        let reply = edited.json["reply"]["id"].text
        let again = try conversation.call("regenerate-reply", reply)
        try conversation.finish()
        try conversation.database.execute("update messages set finish_reason = 'MAX_TOKENS' where role = 'model'")
        let onward = try conversation.call("continue-reply", again.json["reply"]["id"].text)
        for answer in [first, edited, again, onward] {
            try expectOrder([answer.json["message"], answer.json["reply"]], "\(answer.text)")
        }
        try conversation.finish()
        let last = try conversation.call("send-message", body: ["content": "three"])
        try conversation.finish()
        let shown = try conversation.shown(pages: 1)
        #expect(shown.count == 4)
        try expectOrder(shown, "list-messages")
        try expectOrder(conversation.call("get-chatroom").json["messages"].list.reversed(), "get-chatroom")
        // The same time wherever it is told.
        #expect(shown[2]["created_at"] == last.json["message"]["created_at"])
        #expect(shown[3]["created_at"] == last.json["reply"]["created_at"])
        #expect(shown[1]["created_at"] == onward.json["reply"]["created_at"])
        #expect(try conversation.call("get-message", shown[3]["id"].text).json["created_at"] == shown[3]["created_at"])
        #expect(
            try conversation.call("list-chatrooms").json["chatrooms"][0]["updated_at"] == shown[3]["created_at"])
        let share = try conversation.call("share-chatroom", body: [:]).json
        let token = try #require(share["url"].text?.split(separator: "#").last.map(String.init))
        let shared = try conversation.backend.call("get-shared", path: ["SHARE_TOKEN": token]).json["messages"].list
        #expect(shared.map { $0["created_at"] } == shown.map { $0["created_at"] })
        let exported = try conversation.call("export-me").text.split(separator: "\n")
            .compactMap { JSONValue(Array($0.utf8)) }.filter { $0["type"] == "message" }
        for message in shown {
            #expect(exported.first { $0["id"] == message["id"] }?["created_at"] == message["created_at"])
        }
        let replayed = try conversation.call(
            "send-message", body: ["content": "four"], headers: ["Idempotency-Key": "four"])
        let repeated = try conversation.call(
            "send-message", body: ["content": "four"], headers: ["Idempotency-Key": "four"])
        #expect(repeated.header("Idempotent-Replay") == "true" && repeated.body == replayed.body)
    }

    @Test
    func `So are those that were stored before`() throws {
        try conversation.database.execute(
            """
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at, completed_at)
            select \(conversation.person.id), \(conversation.room), uuidv7(t.at, n, '-8000-000000000000'), r.role::message_role, 'x',
                'done', t.at, t.at + interval '1 second'
            from (values (timestamptz '2026-01-01 12:00:00.999999+00'), ('2026-01-01 12:00:09+00')) t (at),
                (values (0, 'user'), (1, 'model')) r (n, role)
            """)
        let shown = try conversation.shown(pages: 1)
        #expect(shown.map { $0["role"] } == ["user", "model", "user", "model"])
        try expectOrder(shown, "\(shown)")
    }

    @Test
    func `An answer that was kept by an older program is given again`() throws {
        let key = ["Idempotency-Key": "old"]
        let sent = try conversation.call("send-message", body: ["content": "x"], headers: key)
        try conversation.database.execute("update idempotency_keys set answer = (answer::jsonb - 'replied_at')::json")
        let again = try conversation.call("send-message", body: ["content": "x"], headers: key)
        #expect(again.status == 202 && again.json["reply"]["id"] == sent.json["reply"]["id"])
    }
}
