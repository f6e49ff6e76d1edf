import Common
import Foundation
import TestSupport
import Testing

/// Everything fails at once: Gemini by a seed, while workers and Postgres are killed at moments that the seed chooses. How far
/// each process is at such a moment is left to chance; what has to hold afterwards is not.
@Suite(.threads)
struct FaultCampaignTests {
    @Test
    func `Whatever fails meanwhile, 1,000 messages have one reply each, whole and in order, or a reason`() throws {
        let given = ProcessInfo.processInfo.environment["FAULT_SEED"].flatMap { UInt64($0) }
        let campaign = try Campaign(seed: given ?? .random(in: 0..<1_000_000))
        print("fault campaign: FAULT_SEED=\(campaign.seed)")
        let posters = campaign.posters
        let readers = CampaignReaders(campaign)
        _ = try concurrently(posters + 1 + 30) { index in
            if index < posters {
                try campaign.post(250, from: campaign.rooms.indices.filter { $0 % posters == index })
            } else if index == posters {
                try campaign.wreak()
            } else {
                try readers.follow(as: index)
            }
        }
        try campaign.waitForReplies()

        let seed = Comment(rawValue: "FAULT_SEED=\(campaign.seed)")
        #expect(campaign.wrong.isEmpty, "\(seed): \(campaign.wrong.prefix(3))")
        // All but those that a busy machine held up.
        let refused = campaign.refused
        #expect(refused.isEmpty || refused[refused.count / 2] < 2, "\(seed): \(refused)")
        // Otherwise too little was tested.
        #expect(campaign.refused.count > 0 && campaign.deaths.workers > 3 && campaign.deaths.postgres > 1, seed)
        let faults = try campaign.gemini.faults()
        #expect(faults.values.filter { $0 > 0 }.count > 15, "\(seed): \(faults)")

        let messages = try campaign.messages()
        let replies = messages.filter { $0.role == "model" }
        let missing = Set(campaign.accepted.map(\.reply)).subtracting(replies.map(\.id))
        #expect(missing.isEmpty, "\(seed): accepted, and gone: \(missing)")
        #expect(replies.count == messages.count - replies.count, seed)
        #expect(try campaign.storedTwice() == [], seed)

        // What befell the calls leaves no other reason than this one to fail.
        let failures = replies.filter { $0.status == "failed" }
        let blocked = faults.filter { ["blocked", "safety"].contains($0.key) }.values.reduce(0, +)
        #expect((1...blocked).contains(failures.count), seed)
        for reply in failures {
            let isNamed =
                ["prompt_blocked", "safety_blocked"].contains(reply.code) && reply.detail?.isEmpty == false
                && reply.retryable == "false"
            #expect(isNamed, "\(seed): \(reply)")
        }
        #expect(replies.allSatisfy { ["done", "failed"].contains($0.status) }, seed)

        // What readers put together is what was stored: nothing lost, nothing twice.
        #expect(readers.wrong.isEmpty, "\(seed): \(readers.wrong.prefix(3))")
        #expect(readers.read.count > 100 && readers.events.cuts > 10, "\(seed): \(readers.events)")
        let done = replies.filter { $0.status == "done" }
        let contents = Dictionary(uniqueKeysWithValues: done.map { ($0.id, $0.content) })
        for (reply, text) in readers.read {
            if let content = contents[reply] { #expect(text == content, "\(seed): \(reply)") }
        }

        for room in Set(messages.map(\.room)) {
            var turns: [String] = []
            for message in messages where message.room == room {
                if message.role == "user" {
                    turns.append("user: \(message.content)")
                } else {
                    #expect(!message.isEarly, "\(seed): finished before the one before it: \(message)")
                    // What had come of a reply that failed is kept. Its question goes along no more.
                    guard message.status == "done" else {
                        #expect(CheckedAnswer.text(to: turns).hasPrefix(message.content), "\(seed): after \(turns)")
                        turns.removeLast()
                        continue
                    }
                    #expect(message.content == CheckedAnswer.text(to: turns), "\(seed): after \(turns)")
                    turns.append("model: \(message.content)")
                }
            }
        }
    }
}

/// The world of one campaign, and what was done in it.
final class Campaign: @unchecked Sendable {
    let seed: UInt64
    let gemini: Gemini
    let backend: Backend
    let rooms: [(id: String, person: Backend.Person)]
    /// How many post at once.
    let posters = 4
    private let postgres: Postgres
    private let folder: Folder
    private var workers: [Executable]

    private let lock = NSLock()
    private var posts: [(reply: String, room: String, person: Backend.Person)] = []
    private var postersDone = 0
    private var refusals: [Double] = []
    private var others: [String] = []
    private(set) var deaths = (workers: 0, postgres: 0)

    /// What was answered with 202.
    var accepted: [(reply: String, room: String, person: Backend.Person)] { lock.withLock { posts } }
    /// Whether all who post have done so.
    var isPosted: Bool { lock.withLock { postersDone } == posters }
    /// The seconds after which each request that was refused was answered, the shortest first.
    var refused: [Double] { lock.withLock { refusals.sorted() } }
    /// Answers that are neither 202 nor a proper 503.
    var wrong: [String] { lock.withLock { others } }

    init(seed: UInt64) throws {
        self.seed = seed
        postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        folder = try Folder()
        gemini = try Gemini(folder: folder, interval: 10, faults: "\(seed):0.15")
        let settings = [
            "GEMINI_BASE_URL": gemini.url, "LEASE_SECONDS": "2", "REPLY_TIMEOUT_SECONDS": "2", "REPLY_ATTEMPTS": "100",
        ]
        let backend = try Backend(settings, database: postgres.createDatabase(), processes: 2)
        self.backend = backend
        let people = try (0..<20).map { _ in try backend.signIn() }
        rooms = try (0..<100).map { number in
            let person = people[number % people.count]
            return (try backend.room(person), person)
        }
        try backend.database.connect().script(
            """
            create table stored (id uuid not null);
            create function note_stored() returns trigger language plpgsql security definer as $$
            begin
                insert into stored values (new.id);
                return null;
            end $$;
            create trigger stored after update on messages for each row
                when (new.status in ('done', 'failed') and new.completed_at is distinct from old.completed_at)
                execute function note_stored();
            """)
        workers = try (0..<3).map { _ in try backend.worker() }
    }

    // MARK: While it lasts

    /// Posts messages until so many were accepted, to some of the rooms in turn. Nobody waits for a reply first.
    func post(_ count: Int, from rooms: [Int]) throws {
        defer { lock.withLock { postersDone += 1 } }
        for number in 0..<count {
            let room = self.rooms[rooms[number % rooms.count]]
            for attempt in 1... {
                let began = now()
                // One that was refused may have been taken all the same, so the next is another message.
                let content = "[sandbox:checked] message \(number), attempt \(attempt)"
                let answer = try backend.call(
                    "send-message", room: room.id, token: room.person.token, body: ["content": .string(content)])
                let seconds = now() - began
                if answer.status == 202, let reply = answer.json["reply"]["id"].text {
                    lock.withLock { posts.append((reply, room.id, room.person)) }
                    break
                }
                let isProper = answer.status == 503 && answer.header("Retry-After") != nil
                lock.withLock {
                    refusals.append(seconds)
                    if !isProper { others.append("\(answer.status) after \(seconds) s: \(answer.text)") }
                }
                usleep(50_000)
            }
            usleep(30_000)
        }
    }

    /// Kills workers and Postgres, and starts them again, until all messages were posted.
    func wreak() throws {
        var random = SplitMix(state: seed)
        for round in 0... {
            if isPosted { return }
            usleep(.random(in: 100_000...700_000, using: &random))
            if round % 4 == 3 {
                try postgres.crash()
                usleep(.random(in: 0...300_000, using: &random))
                try postgres.start()
                deaths.postgres += 1
            } else {
                let index = Int.random(in: workers.indices, using: &random)
                workers[index].kill()
                try workers[index].wait()
                usleep(.random(in: 0...300_000, using: &random))
                workers[index] = try backend.worker()
                deaths.workers += 1
            }
        }
    }

    // MARK: Afterwards

    func waitForReplies() throws {
        let database = backend.database.connect()
        try eventually("an empty queue (FAULT_SEED=\(seed))", within: 300) {
            try database.row(Int.self, "select count(*) from jobs") == 0
        }
        for worker in workers where !worker.isRunning { throw Executable.Failure("a worker ended: \(worker.error)") }
    }

    /// A message as it was stored in the end.
    struct Stored: Decodable {
        let room: String
        let id: String
        let role: String
        let content: String
        let status: String
        let code: String?
        let detail: String?
        let retryable: String?
        /// Whether it was finished before the one before it.
        let isEarly: Bool
    }

    /// All messages, by room and time.
    func messages() throws -> [Stored] {
        try backend.database.connect().rows(
            Stored.self,
            """
            select chatroom_id as room, id, role, content, status, error->>'code' as code, error->>'detail' as detail,
                error->>'retryable' as retryable, coalesce(completed_at < lag(completed_at) over one, false) as "isEarly"
            from messages window one as (partition by chatroom_id, role order by id) order by chatroom_id, id
            """)
    }

    /// Replies that were stored more than once.
    func storedTwice() throws -> [String] {
        try backend.database.connect().rows(
            String.self, "select id from stored group by id having count(*) > 1")
    }
}

/// A generator whose numbers follow from where it starts (SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
