import Common
import Upstream

/// A job of the queue, as it was claimed.
struct Job: Decodable, Hashable {
    let userID: ID
    /// Jobs of one lane run one after another.
    let lane: ID
    let id: ID
    /// How often it has been claimed, this time included.
    let attempts: Int
    /// Seconds since it was first claimed, or since its last attempt that counts.
    var waited: Double { waitedBefore + Double(monotonicMilliseconds() - claimed) / 1_000 }
    private let waitedBefore: Double
    private let claimed = monotonicMilliseconds()

    enum CodingKeys: String, CodingKey {
        case lane, id, attempts
        case userID = "user_id"
        case waitedBefore = "waited"
    }
}

/// A reply to be made.
struct ReplyJob: Decodable {
    let job: Job
    /// Its user's plan at this time.
    let plan: Plan
    let model: String
    let systemInstruction: String?
    /// Whether its room has no title yet.
    let isUntitled: Bool
    let branch: Int
    let conversation: Conversation
    /// The text that it continues; empty where it begins from nothing.
    let begun: String

    enum CodingKeys: String, CodingKey {
        case tier, model, branch, conversation, begun
        case systemInstruction = "system_instruction"
        case isUntitled = "is_untitled"
    }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        job = try Job(from: decoder)
        plan = Plan.of(tier: try row.decodeIfPresent(String.self, forKey: .tier) ?? "")
        model = try row.decode(String.self, forKey: .model)
        systemInstruction = try row.decodeIfPresent(String.self, forKey: .systemInstruction)
        isUntitled = try row.decode(Bool.self, forKey: .isUntitled)
        branch = try row.decode(Int.self, forKey: .branch)
        conversation = try row.decode(Conversation.self, forKey: .conversation)
        begun = try row.decode(String.self, forKey: .begun)
    }

    /// What goes to Gemini. Current models refuse a conversation that ends with a turn of theirs, so the user's asks for the rest.
    func turns(from database: Database) -> [Gemini.Turn] {
        let turns = conversation.turns.map { $0.sent(by: job.userID, from: database) }
        guard !begun.isEmpty else { return turns }
        return turns + [Gemini.Turn(role: "model", content: begun), Gemini.Turn(role: "user", content: ReplyJob.goOn)]
    }

    private static let goOn = """
        Continue your last answer exactly where it was cut off, in the same language and format. Answer with the rest alone: \
        repeat nothing, and do not mention the cut.
        """

    /// The room's instruction, and the summary that stands in for what is left out.
    var instruction: String? {
        let summary = conversation.summary.map { "What was said before in this conversation, in short:\n\n\($0)" }
        let parts = [systemInstruction, summary].compactMap { $0 }.filter { !$0.isEmpty }
        return parts.isEmpty ? nil : parts.joined(separator: "\n\n")
    }

    /// What the reply was given, for its owner to see: the column `provenance`.
    var provenance: Provenance {
        Provenance(
            from: conversation.turns.first?.id, count: conversation.turns.count, summary: conversation.summaryID,
            tokens: conversation.tokens + begunTokens + (instruction?.utf8.count ?? 0) / 4, attempts: job.attempts,
            model: model)
    }

    /// Of the text that it continues, estimated as `Conversation.textEstimate` does.
    var begunTokens: Int { begun.utf8.count / 4 }

    struct Provenance: Encodable {
        let from: ID?
        let count: Int
        let summary: ID?
        /// Of the prompt, estimated.
        let tokens: Int
        let attempts: Int
        let model: String
    }
}

/// What became of a reply.
struct FinishedReply {
    let reply: ReplyJob
    let text: String
    let failure: Message.Failure?
    let stream: GeminiStream

    var job: Job { reply.job }
    /// Whether it ends with the longest text of all its attempts.
    var keepsPartialText: Bool { failure?.keepsPartialText ?? false }
    /// The tokens of all of its text; nil where Gemini has not counted.
    var textTokens: Int? { stream.textTokens.map { reply.begunTokens + $0 } }
}

/// How many replies ended in which way.
struct Tally {
    private(set) var done = 0
    private(set) var failed = 0

    mutating func count(_ replies: [FinishedReply]) {
        let failures = replies.count { $0.failure != nil }
        failed += failures
        done += replies.count - failures
    }
}
