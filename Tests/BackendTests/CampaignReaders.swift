import Foundation
import TestSupport

/// Readers who follow replies while a campaign lasts, are cut off again and again, and come back with the id of the last
/// event that they had.
final class CampaignReaders: @unchecked Sendable {
    private let campaign: Campaign
    private let lock = NSLock()
    private var texts: [(reply: String, text: String)] = []
    private var others: [String] = []
    private var counts = (cuts: 0, resets: 0)

    /// What readers had of the replies that they read to the end.
    var read: [(reply: String, text: String)] { lock.withLock { texts } }
    /// Events and answers that are not as the contract has them.
    var wrong: [String] { lock.withLock { others } }
    /// How often a reader hung up in the midst of a reply, and how often one had to forget what it had.
    var events: (cuts: Int, resets: Int) { lock.withLock { counts } }

    init(_ campaign: Campaign) { self.campaign = campaign }

    /// Follows the newest reply to its end, then the next, until all messages were posted and readers have read enough.
    func follow(as number: Int) throws {
        var random = SplitMix(state: campaign.seed &+ UInt64(number))
        while !campaign.isPosted || read.count <= 100 || events.cuts <= 10 {
            guard let post = campaign.accepted.suffix(20).randomElement(using: &random) else {
                usleep(20_000)
                continue
            }
            let text = try text(of: post, &random)
            lock.withLock { texts.append((post.reply, text)) }
        }
    }

    /// All of a reply's text, put together over as many streams as it takes.
    private func text(
        of post: (reply: String, room: String, person: Backend.Person), _ random: inout SplitMix
    ) throws -> String {
        var text = ""
        var last: String?
        let deadline = now() + 300
        while now() < deadline {
            let connection = try FastCGI(campaign.backend.endpoint("stream-reply").listener.path)
            connection.sendRequest(
                Backend.parameters(
                    room: post.room, message: post.reply, token: post.person.token,
                    headers: last.map { ["Last-Event-ID": $0] } ?? [:]))
            let stream = EventStream(connection)
            for left in (0..<Int.random(in: 1...12, using: &random)).reversed() {
                guard let event = try stream.next() else { break }
                last = event.id
                switch event.name {
                case "delta":
                    text += event.text ?? ""
                    if left == 0 { lock.withLock { counts.cuts += 1 } }
                case "reset":
                    text = ""
                    lock.withLock { counts.resets += 1 }
                case "done", "failed": return text
                default: lock.withLock { others.append("\(event)") }
                }
            }
            stream.hangUp()
            // While Postgres is away the answer is 503.
            if let head = stream.head, ![200, 503].contains(head.status) {
                lock.withLock { others.append("\(head.status) \(head.headers)") }
            }
            usleep(20_000)
        }
        throw Executable.Failure("reply \(post.reply) did not end")
    }
}
