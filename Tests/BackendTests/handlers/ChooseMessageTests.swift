import Common
import TestSupport
import Testing

@Suite(.threads)
struct ChooseMessageTests {
    let conversation: Conversation

    init() throws { conversation = try Conversation() }

    @Test
    func `The room shows the variant that was chosen, and goes on from it`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let again = try conversation.regenerate(sent.reply)
        try conversation.finish()
        let answer = try conversation.call("choose-message", sent.reply)
        #expect(answer.status == 200)
        #expect(answer.json["id"].text == sent.reply && answer.json["siblings"]["count"] == 2)
        #expect(try conversation.ids() == [sent.question, sent.reply])
        let room = try conversation.call("get-chatroom").json["messages"].list
        #expect(room.map { $0["id"].text } == [sent.reply, sent.question])
        let onward = try conversation.send("onward")
        #expect(try conversation.ids() == [sent.question, sent.reply, onward.question, onward.reply])
        #expect(try conversation.call("choose-message", again).status == 200)
        #expect(try conversation.ids() == [sent.question, again])
    }

    @Test
    func `Where nothing forked, choosing changes nothing`() throws {
        let sent = try conversation.send("Hello")
        for id in [sent.question, sent.reply] {
            let answer = try conversation.call("choose-message", id)
            #expect(answer.status == 200 && answer.json["id"].text == id && answer.json["siblings"] == .null)
        }
        #expect(try conversation.ids() == [sent.question, sent.reply])
        #expect(try conversation.database.row(Int.self, "select count(*) from branches") == 0)
    }

    @Test
    func `Of the branches that hold a message the one chosen last is shown`() throws {
        let sent = try conversation.send("Hello")
        try conversation.finish()
        let edited = try conversation.edit(sent.question, "Good day")
        try conversation.finish()
        let again = try conversation.regenerate(edited.reply)
        #expect(try conversation.call("choose-message", sent.question).status == 200)
        #expect(try conversation.call("choose-message", edited.question).status == 200)
        #expect(try conversation.ids() == [edited.question, again])
        #expect(try conversation.call("choose-message", edited.reply).status == 200)
        #expect(try conversation.call("choose-message", sent.question).status == 200)
        #expect(try conversation.call("choose-message", edited.question).status == 200)
        #expect(try conversation.ids() == [edited.question, edited.reply])
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `Whatever is sent, regenerated, edited and chosen, the room shows what a tree of messages would`(
        seed: UInt64
    ) throws {
        var random = Repeatable(state: seed)
        var tree = Tree()
        for step in 1...60 {
            let what = "seed \(seed) step \(step)"
            let message =
                tree.messages.isEmpty ? nil : tree.messages[Int.random(in: 0..<tree.messages.count, using: &random)]
            switch (Int.random(in: 0..<10, using: &random), message) {
            case (0..<3, _), (_, nil):
                let sent = try conversation.send("\(step)")
                tree.add([sent.question, sent.reply], after: tree.shown)
            case (3..<6, let message?) where message.isReply:
                tree.add([try conversation.regenerate(message.id)], after: message.before, isReply: true)
            case (3..<6, let message?):
                let edited = try conversation.edit(message.id, "\(step)")
                tree.add([edited.question, edited.reply], after: message.before)
            case (_, let message?):
                #expect(try conversation.call("choose-message", message.id).status == 200, "\(what)")
                tree.choose(message.id)
            }
            try conversation.finish()
            let shown = try conversation.shown(pages: Int.random(in: 1...12, using: &random))
            #expect(shown.compactMap { $0["id"].text } == tree.shown, "\(what)")
            for message in shown {
                let variants = tree.variants(message["id"].text ?? "")
                let expected: JSONValue =
                    variants.ids.count == 1
                    ? .null
                    : [
                        "count": .number(Double(variants.ids.count)), "number": .number(Double(variants.number)),
                        "ids": .array(variants.ids.map { .string($0) }),
                    ]
                #expect(message["siblings"] == expected, "\(what)")
            }
        }
        #expect(tree.branches.count > 10)
    }

    @Test
    func `Forks, choices, cancels and messages at once do not stand in each other's way`() throws {
        let conversation = try Conversation(processes: 4)
        let sent = try conversation.send("[sandbox:slow ms=5]")
        let workers = try (0..<2).map { _ in try conversation.backend.worker() }
        _ = try concurrently(6) { thread in
            var random = Repeatable(state: UInt64(thread))
            var (question, reply) = sent
            for _ in 0..<25 {
                let answer =
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0: try conversation.call("send-message", body: ["content": "[sandbox:slow ms=5]"])
                    case 1: try conversation.call("edit-message", question, body: ["content": "Hello"])
                    case 2, 3: try conversation.call("regenerate-reply", reply)
                    case 4: try conversation.call("choose-message", Bool.random(using: &random) ? question : reply)
                    default: try conversation.call("cancel-reply", reply)
                    }
                #expect(
                    [200, 202].contains(answer.status) || answer.json["code"] == "reply_unfinished", "\(answer.text)")
                guard answer.status == 202 else { continue }
                question = answer.json["message"]["id"].text ?? ""
                reply = answer.json["reply"]["id"].text ?? ""
                #expect(question < reply)
            }
            return 0
        }
        try eventually("an empty queue") {
            try conversation.database.row(Int.self, "select count(*) from jobs") == 0
        }
        let unfinished = try conversation.database.row(
            Int.self, "select count(*) from messages where status not in ('done', 'cancelled')")
        #expect(unfinished == 0)
        // Whatever is chosen, the room shows it once, and in the order of time.
        let all = try conversation.database.rows(String.self, "select id from messages order by id")
        for id in all {
            #expect(try conversation.call("choose-message", id).status == 200)
            let shown = try conversation.ids(pages: 7)
            #expect(shown.filter { $0 == id } == [id] && shown == shown.sorted())
        }
        withExtendedLifetime(workers) {}
    }
}

/// What a conversation is to those who have it: each message follows those before it, and a branch is a list of messages.
private struct Tree {
    struct Message {
        let id: String
        /// All that came before it.
        let before: [String]
        let isReply: Bool
    }
    private(set) var messages: [Message] = []
    /// The one chosen last is the last.
    private(set) var branches: [[String]] = [[]]
    var shown: [String] { branches[branches.count - 1] }

    /// Adds messages one after the other: to the branch that is shown where they follow its end, or as a new one.
    mutating func add(_ ids: [String], after before: [String], isReply: Bool = false) {
        if before == shown { branches.removeLast() }
        branches.append(before + ids)
        for (index, id) in ids.enumerated() {
            messages.append(Message(id: id, before: before + ids[..<index], isReply: isReply || index == 1))
        }
    }

    mutating func choose(_ id: String) {
        guard let index = branches.lastIndex(where: { $0.contains(id) }) else { return }
        branches.append(branches.remove(at: index))
    }

    func variants(_ id: String) -> (ids: [String], number: Int) {
        let before = messages.first { $0.id == id }?.before
        let ids = messages.filter { $0.before == before }.map(\.id)
        return (ids, (ids.firstIndex(of: id) ?? -1) + 1)
    }
}
