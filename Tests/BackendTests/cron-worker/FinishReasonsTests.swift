import Common
import TestSupport
import Testing

@Suite(.threads)
struct FinishReasonsTests {
    @Test
    func `Why the model stopped is in every answer that has the reply`() throws {
        let conversation = try Conversation()
        let worker = try conversation.backend.worker()
        let sent = try conversation.send("[sandbox:slow ms=300][sandbox:max-tokens] A long story, please.")
        let stream = EventStream(try conversation.begun("stream-reply", sent.reply))
        #expect(try conversation.call("get-message", sent.reply).json["finish_reason"] == .null)
        let end = try #require(try stream.rest().last)
        #expect(end.name == "done" && JSONValue(Array(end.data.utf8))?["finish_reason"] == "max_tokens")
        let reply = try conversation.call("get-message", sent.reply).json
        let listed = try conversation.shown()
        let room = try conversation.call("get-chatroom").json["messages"].list
        let cancelled = try conversation.call("cancel-reply", sent.reply).json
        let chosen = try conversation.call("choose-message", sent.reply).json
        for message in [reply, listed[1], room[0], cancelled, chosen] {
            #expect(message["id"].text == sent.reply && message["finish_reason"] == "max_tokens")
        }
        #expect(listed[0]["finish_reason"] == .null)
        let lines = try conversation.call("export-me").text.split(separator: "\n")
            .compactMap { JSONValue(Array($0.utf8)) }
        #expect(
            lines.filter { $0["type"] == "message" }.map { $0["finish_reason"] } == [.null, "max_tokens"])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Each reason has a word that stays, and none is taken for the model's own end`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let cases: [(String, JSONValue)] = [
            ("Hello", "stop"), ("[sandbox:max-tokens]", "max_tokens"), ("[sandbox:safety]", "safety"),
            ("[sandbox:recitation]", "recitation"), ("[sandbox:finish reason=OTHER]", "other"),
            ("[sandbox:finish reason=NEWER_THAN_THIS]", "other"), ("[sandbox:blocked]", .null),
            ("[sandbox:error code=400]", .null),
        ]
        let replies = try world.askAll(cases.map(\.0))
        for ((message, word), reply) in zip(cases, replies) {
            #expect(reply["finish_reason"] == word, "\(message) \(reply)")
        }
        withExtendedLifetime(worker) {}
    }
}
