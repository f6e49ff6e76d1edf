import Common
import Foundation
import TestSupport
import Testing

/// Whatever is killed, and whenever: after it is back, each message that was accepted has one reply.
@Suite(.threads)
struct CrashTests {
    @Test
    func `Kill -9 of the worker at any moment`() throws {
        let backend = try Backend(["LEASE_SECONDS": "2", "REPLY_ATTEMPTS": "100"], processes: 2)
        let posts = try Posts(backend, rooms: 8)
        let outcome = try concurrently(3) { index in
            if index > 0 { return try posts.make(40, by: index, content: "[sandbox:slow ms=30] Hello") }
            for _ in 0..<14 {
                let worker = try backend.worker()
                usleep(.random(in: 20_000...350_000))
                worker.kill()
                #expect(try worker.wait() == .signal(SIGKILL))
            }
            return 0
        }
        #expect(outcome.reduce(0, +) == 80)
        let worker = try backend.worker()
        try posts.expectOneReplyEach()
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Kill -9 of the handlers at any moment`() throws {
        let backend = try Backend(processes: 2)
        let posts = try Posts(backend, rooms: 4)
        let worker = try backend.worker()
        let isOver = Latch()
        _ = try concurrently(3) { index in
            if index > 0 {
                defer { isOver.set() }
                // Until enough were accepted and enough were hit, however quick this machine is.
                while posts.taken < 40 || posts.broken < 20 { _ = try posts.make(1, by: index, content: "Hello") }
                return
            }
            while !isOver.isSet {
                for process in try backend.endpoint("send-message").processes {
                    usleep(.random(in: 5_000...100_000))
                    process.kill()
                    try process.wait()
                }
                try backend.revive("send-message")
            }
        }
        try backend.revive("send-message")
        try posts.expectOneReplyEach()
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Kill -9 of Postgres at any moment, and everything recovers by itself`() throws {
        let postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        let backend = try Backend(
            ["LEASE_SECONDS": "2", "REPLY_ATTEMPTS": "100"], database: postgres.createDatabase(), processes: 2)
        let posts = try Posts(backend, rooms: 6)
        let worker = try backend.worker()
        let isOver = Latch()
        _ = try concurrently(3) { index in
            if index > 0 {
                while !isOver.isSet {
                    _ = try posts.make(1, by: index, content: "[sandbox:slow ms=20] Hello")
                    usleep(10_000)
                }
                return
            }
            defer { isOver.set() }
            for _ in 0..<3 {
                let (taken, refused) = (posts.taken, posts.refused)
                try eventually("some who are accepted") { posts.taken >= taken + 5 }
                usleep(.random(in: 0...700_000))
                try postgres.crash()
                try eventually("one who is refused") { posts.refused > refused }
                usleep(.random(in: 0...300_000))
                try postgres.start()
            }
            let taken = posts.taken
            try eventually("some who are accepted") { posts.taken >= taken + 5 }
        }
        #expect(posts.wrong.isEmpty, "\(posts.wrong.prefix(3))")
        #expect(posts.medianOfRefusals < 1)
        // The processes are the same all along.
        #expect(worker.isRunning)
        #expect(try backend.endpoint("send-message").processes.allSatisfy(\.isRunning))
        try posts.expectOneReplyEach()
    }

    @Test
    func `Kill -9 of everything at once`() throws {
        let postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        let backend = try Backend(
            ["LEASE_SECONDS": "2", "REPLY_ATTEMPTS": "100"], database: postgres.createDatabase(), processes: 2)
        let posts = try Posts(backend, rooms: 6)
        for _ in 0..<2 {
            let worker = try backend.worker()
            _ = try concurrently(3) { index in
                if index > 0 { return try posts.make(25, by: index, content: "[sandbox:slow ms=20] Hello") }
                usleep(.random(in: 100_000...500_000))
                worker.kill()
                for process in try backend.endpoint("send-message").processes { process.kill() }
                try postgres.crash()
                for process in try backend.endpoint("send-message").processes { try process.wait() }
                try postgres.start()
                try backend.revive("send-message")
                return 0
            }
        }
        let worker = try backend.worker()
        try posts.expectOneReplyEach()
        withExtendedLifetime(worker) {}
    }

    @Test
    func `While Postgres is away each endpoint says so within a second, and recovers by itself`() throws {
        let postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"], database: postgres.createDatabase())
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        // Finished, so that a stream of it ends
        try backend.database.connect().execute("update messages set status = 'done' where id = \(reply)::uuid")
        let mobile = JSONValue.string(person.mobile)
        func callAll() throws -> [(name: String, answer: Answer, seconds: Double)] {
            let calls: [(String, JSONValue?)] = [
                ("signup", ["mobile": "+919999999999"]), ("send-otp", ["mobile": mobile]),
                ("verify-otp", ["mobile": mobile, "otp": "000000"]), ("get-me", nil), ("create-chatroom", [:]),
                ("list-chatrooms", nil), ("get-chatroom", nil), ("send-message", ["content": "Hello"]),
                ("list-messages", nil), ("get-message", nil), ("stream-reply", nil),
            ]
            return try calls.map { name, body in
                let began = now()
                let answer = try backend.call(name, room: room, message: reply, token: person.token, body: body)
                return (name, answer, now() - began)
            }
        }
        func expectAllWork() throws {
            for (name, answer, _) in try callAll() {
                #expect(answer.status < 300 || name == "verify-otp" && answer.status == 401, "\(name) \(answer.text)")
            }
        }
        try expectAllWork()
        for stop in [postgres.stop, { try? postgres.crash() }] {
            stop()
            // First with a connection that was lost, then without one. A machine that is busy may hold up one or the other call.
            var times: [String: [Double]] = [:]
            for round in 0..<6 where round < 2 || times.values.contains(where: { $0.dropFirst().min() ?? 1 >= 1 }) {
                for (name, answer, seconds) in try callAll() {
                    expectProblem(answer, 503, "unavailable", name)
                    times[name, default: []].append(seconds)
                }
            }
            for (name, seconds) in times { #expect(seconds.dropFirst().min() ?? 1 < 1, "\(name) \(seconds)") }
            #expect(times.values.compactMap(\.first).count { $0 < 1 } >= 6, "\(times)")
            try postgres.start()
            try expectAllWork()
        }
        for name in ["signup", "get-me", "send-message"] {
            #expect(try backend.endpoint(name).processes.count == 1 && backend.endpoint(name).processes[0].isRunning)
        }
    }

    @Test
    func `A Postgres that answers nothing any more holds up nobody for long`() throws {
        let postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        let backend = try Backend(["STATEMENT_TIMEOUT_MS": "500"], database: postgres.createDatabase())
        let person = try backend.signIn()
        #expect(try backend.call("get-me", token: person.token).status == 200)
        postgres.signalAll(SIGSTOP)
        defer { postgres.signalAll(SIGCONT) }
        DispatchQueue.global().asyncAfter(deadline: .now() + 30) { postgres.signalAll(SIGCONT) }
        // First on the connection that it has, then on new ones
        let times = try (0..<4).map { _ in
            try seconds {
                let answer = try backend.call("get-me", token: person.token)
                expectProblem(answer, 503, "unavailable")
            }
        }
        #expect(times.sorted()[1] < 3, "\(times)")
        postgres.signalAll(SIGCONT)
        try eventually("recovery") { try backend.call("get-me", token: person.token).status == 200 }
    }
}

/// Messages that were posted, and what became of them.
private final class Posts: @unchecked Sendable {
    private let backend: Backend
    private let person: Backend.Person
    private let rooms: [String]
    private let lock = NSLock()
    private var accepted: [(reply: String, room: String)] = []
    private var counts = (broken: 0, refused: 0)
    private var others: [String] = []
    private var times: [Double] = []

    /// Requests without an answer, as of a handler that was killed.
    var broken: Int { lock.withLock { counts.broken } }
    /// Those that were accepted.
    var taken: Int { lock.withLock { accepted.count } }
    /// Requests answered with 503.
    var refused: Int { lock.withLock { counts.refused } }
    /// Seconds in which half of them were answered so.
    var medianOfRefusals: Double { lock.withLock { times.isEmpty ? 0 : times.sorted()[times.count / 2] } }
    /// Answers that are neither 202 nor a proper 503.
    var wrong: [String] { lock.withLock { others } }

    init(_ backend: Backend, rooms: Int) throws {
        self.backend = backend
        let person = try backend.signIn()
        self.person = person
        self.rooms = try (0..<rooms).map { _ in try backend.room(person) }
    }

    /// Posts so many messages, one after the other; how many of them were accepted.
    func make(_ count: Int, by author: Int, content: String) throws -> Int {
        var taken = 0
        for number in 0..<count {
            let room = rooms[(author * 31 + number * 7 + Int.random(in: 0..<rooms.count)) % rooms.count]
            let began = now()
            guard
                let answer = try? backend.call(
                    "send-message", room: room, token: person.token, body: ["content": .string("\(content) \(number)")])
            else {
                lock.withLock { counts.broken += 1 }
                continue
            }
            let seconds = now() - began
            lock.withLock {
                if answer.status == 202, let reply = answer.json["reply"]["id"].text {
                    accepted.append((reply, room))
                    taken += 1
                } else if answer.status == 503, answer.header("Retry-After") != nil {
                    counts.refused += 1
                    times.append(seconds)
                } else {
                    others.append("\(answer.status) after \(seconds) s: \(answer.text)")
                }
            }
            if answer.status == 503 { usleep(20_000) }
        }
        return taken
    }

    /// Waits until nothing is left to do, and looks at everything that was stored.
    func expectOneReplyEach(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let database = backend.database.connect()
        try eventually("an empty queue", within: 300) {
            try database.row(Int.self, "select count(*) from jobs") == 0
        }
        let accepted = lock.withLock { self.accepted }
        let done = try database.rows(
            String.self, "select id::text from messages where role = 'model' and status = 'done' and content <> ''")
        let missing = Set(accepted.map(\.reply)).subtracting(done)
        #expect(missing.isEmpty, "accepted, and without a reply: \(missing)", sourceLocation: sourceLocation)
        #expect(Set(accepted.map(\.reply)).count == accepted.count, sourceLocation: sourceLocation)
        // Whatever else was stored (an answer may have been lost on its way) is whole too: message and reply, in turn.
        let roles = try database.rows(
            String.self,
            "select string_agg(role::text, ' ' order by role::text) from messages group by chatroom_id, created_at")
        #expect(roles.allSatisfy { $0 == "model user" }, sourceLocation: sourceLocation)
        let unfinished = try database.row(
            Int.self, "select count(*) from messages where status in ('queued', 'running', 'failed')")
        #expect(unfinished == 0, sourceLocation: sourceLocation)
        #expect(roles.count >= accepted.count && done.count == roles.count, sourceLocation: sourceLocation)
    }
}
