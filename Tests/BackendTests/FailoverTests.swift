import Common
import Foundation
import TestSupport
import Testing

/// A primary and its standby, which takes over under steady traffic: at most 5 s of 503, and nothing is lost of what was accepted.
@Suite(.threads)
struct FailoverTests {
    let primary: Postgres
    let standby: Postgres
    let database: TestDatabase
    let folder: Folder
    let ports: [Relay]

    init() throws {
        primary = try Postgres()
        try primary.migrateTemplate()
        database = try primary.createDatabase()
        standby = try Postgres(standbyOf: primary)
        folder = try Folder()
        ports = try [Relay(to: primary), Relay(to: standby)]
    }

    @Test
    func `The primary stops, and the standby is promoted`() throws {
        try failOver("primary stopped", primaryOnly: "target_session_attrs=primary") {
            try primary.shutDown()
            try standby.admin { _ = try $0.execute("select pg_promote()") }
        }
    }

    @Test
    func `The primary becomes read-only and keeps its connections, and the standby is promoted`() throws {
        try failOver("primary demoted, connections kept", primaryOnly: "target_session_attrs=read-write") {
            try primary.admin {
                try $0.script("alter system set default_transaction_read_only = on")
                try $0.execute("select pg_reload_conf()")
            }
            usleep(300_000)
            let last = try primary.read("select pg_current_wal_insert_lsn()::text") ?? ""
            try eventually("the standby") {
                try standby.read("select (pg_last_wal_replay_lsn() >= '\(last)')::text") == "true"
            }
            try standby.admin { _ = try $0.execute("select pg_promote()") }
        }
    }

    /// Every form that an address of several hosts has.
    private func forms(_ target: String) throws -> [[String: String]] {
        let (hosts, name) = ("\(primary.sockets),\(standby.sockets)", database.name)
        let services = "\(folder.path)/services"
        try "[chat]\nhost=\(hosts)\ndbname=\(name)\nuser=postgres\n".write(
            toFile: services, atomically: true, encoding: .utf8)
        let numbers = ports.map { String($0.port) }
        return [
            [
                "DATABASE_URL":
                    "postgresql://postgres@\(hosts.replacingOccurrences(of: "/", with: "%2F"))/\(name)?\(target)"
            ],
            ["DATABASE_URL": "postgresql://postgres@/\(name)?host=\(hosts)"],
            ["DATABASE_URL": "postgresql://postgres@127.0.0.1:\(numbers[0]),localhost:\(numbers[1])/\(name)?\(target)"],
            ["DATABASE_URL": "host=\(hosts) port=5432,5432 user=postgres dbname=\(name) \(target)"],
            [
                "DATABASE_URL": "hostaddr=127.0.0.1,127.0.0.1 port=\(numbers.joined(separator: ",")) user=postgres "
                    + "dbname=\(name) \(target)"
            ],
            ["DATABASE_URL": "service=chat \(target)", "PGSERVICEFILE": services],
            ["DATABASE_URL": "", "PGHOST": hosts, "PGDATABASE": name, "PGUSER": "postgres"],
        ]
    }

    private func failOver(_ what: String, primaryOnly target: String, _ body: () throws -> Void) throws {
        let limits = ["STATEMENT_TIMEOUT_MS": "5000", "CONNECT_TIMEOUT_MS": "3000"]
        let backends = try forms(target).map {
            try Backend(limits.merging($0) { $1 }, database: database, processes: 2)
        }
        let person = try backends[0].signIn()
        let worker = try backends[0].worker()
        let traffic = try backends.map { backend in
            try Traffic(of: person, in: backends[0].room(person)) { room, content in
                try backend.call("send-message", room: room, token: person.token, body: ["content": .string(content)])
            }
        }
        for each in traffic { each.start() }
        defer { for each in traffic { each.stop() } }
        try eventually("traffic") { traffic.allSatisfy { $0.accepted.count >= 5 } }
        let began = now()
        try body()
        let promoted = now()
        try eventually("traffic after it", within: 30) {
            traffic.allSatisfy { ($0.lastAccepted ?? 0) > max(promoted, $0.lastRefused ?? 0) + 1 }
        }
        for each in traffic { each.stop() }

        for (index, each) in traffic.enumerated() {
            #expect(each.failures.isEmpty, "form \(index): \(each.failures)")
            let refused = max(0, (each.lastRefused ?? began) - promoted)
            #expect(refused < 5, "form \(index): 503 for \(refused) s after the promotion")
        }
        let accepted = traffic.flatMap(\.accepted)
        let reader = Database(standby.url(database.name), prepares: true, timeout: 30_000)
        var done = 0
        try eventually("the replies") {
            done =
                try reader.row(
                    Int.self, "select count(*) from messages where status = 'done' and id = any(\(accepted)::uuid[])")
                ?? 0
            return done == accepted.count
        }
        for backend in backends { try eventually("readiness") { try backend.call("ready").status == 200 } }
        let refusals = traffic.map(\.refusals).reduce(0, +)
        let longest = traffic.map { max(0, ($0.lastRefused ?? began) - promoted) }.max() ?? 0
        print(
            "failover, \(what): \(backends.count) forms of address, \(accepted.count) messages accepted and answered, "
                + "\(refusals) times 503, the last \(Int(longest * 1_000)) ms after the promotion, "
                + "which took \(Int((promoted - began) * 1_000)) ms")
        withExtendedLifetime(worker) {}
    }
}

extension Postgres {
    /// The one value of a query, of a standby too.
    fileprivate func read(_ query: String) throws -> String? {
        var value: String?
        try admin { value = try $0.row(String.self, SQL(made: query)) }
        return value
    }
}

/// One after another, messages of somebody to a room, until it is stopped.
private final class Traffic: @unchecked Sendable {
    private let lock = NSLock()
    private let room: String
    private let send: (String, String) throws -> Answer
    private var isStopped = false
    private let end = DispatchSemaphore(value: 0)
    private var state = State()

    struct State {
        /// The ids of the replies to come.
        var accepted: [String] = []
        var lastAccepted: Double?
        var lastRefused: Double?
        var refusals = 0
        /// What was neither 202 nor 503 with Retry-After.
        var failures: [String] = []
    }

    init(of person: Backend.Person, in room: String, _ send: @escaping (String, String) throws -> Answer) {
        (self.room, self.send) = (room, send)
    }

    var accepted: [String] { lock.withLock { state.accepted } }
    var lastAccepted: Double? { lock.withLock { state.lastAccepted } }
    var lastRefused: Double? { lock.withLock { state.lastRefused } }
    var refusals: Int { lock.withLock { state.refusals } }
    var failures: [String] { lock.withLock { state.failures } }

    func start() {
        Thread.detachNewThread { [self] in
            while !lock.withLock({ isStopped }) {
                let answer = Result { try send(room, "[sandbox:say] Hi") }
                lock.withLock { note(answer) }
                usleep(100_000)
            }
            end.signal()
        }
    }

    private func note(_ answer: Result<Answer, any Error>) {
        switch answer {
        case .success(let answer) where answer.status == 202:
            state.accepted.append(answer.json["reply"]["id"].text ?? "")
            state.lastAccepted = now()
        case .success(let answer) where answer.status == 503 && answer.header("Retry-After") != nil:
            state.refusals += 1
            state.lastRefused = now()
        case .success(let answer): state.failures.append("\(answer.status) \(answer.text)")
        case .failure(let error): state.failures.append("\(error)")
        }
    }

    /// Stops it, and waits for the last answer.
    func stop() {
        let isFirst = lock.withLock {
            defer { isStopped = true }
            return !isStopped
        }
        if isFirst { end.wait() }
    }
}
