import Common
import Foundation
import TestSupport
import Testing

/// Somebody who sends, and what the ledger makes of it. What needs `database` is not for several threads.
struct Quotas: @unchecked Sendable {
    let backend: Backend
    let person: Backend.Person
    let room: String
    let database: Database

    init(_ settings: [String: String], processes: Int = 1) throws {
        try self.init(Conversation(settings, processes: processes))
    }

    init(_ conversation: Conversation) throws {
        (backend, person) = (conversation.backend, conversation.person)
        (room, database) = (conversation.room, conversation.database)
        try backend.moveToNoon(person)
    }

    func send(_ content: String, headers: [String: String] = [:]) throws -> Answer {
        try backend.call(
            "send-message", room: room, token: person.token, body: ["content": .string(content)], headers: headers)
    }

    func sendAtOnce(_ count: Int, _ content: String = "Hello", headers: [String: String] = [:]) throws -> [Answer] {
        try concurrently(count) { _ in try send(content, headers: headers) }
    }

    /// Lets nobody reserve anything until so many requests wait for a lock; nil.
    func holdReceipts(until waiting: Int, _ isHeld: Latch) throws -> Answer? {
        let (holder, watcher) = (backend.database.connect(), backend.database.connect())
        try holder.script("begin; lock table ledger in share mode")
        isHeld.set()
        try eventually("those who wait") {
            try watcher.row(
                Int.self,
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
                == waiting
        }
        try holder.script("commit")
        return nil
    }

    /// Sends each of these 25 times at once; how many were accepted.
    func sendInRounds(_ contents: [String], _ isOver: Latch) throws -> Int {
        defer { isOver.set() }
        var accepted = 0
        for content in contents {
            let statuses = try sendAtOnce(25, content).map(\.status)
            #expect(Set(statuses).isSubset(of: [202, 429]))
            accepted += statuses.count { $0 == 202 }
            usleep(300_000)
            try expectAgreement()
        }
        return accepted
    }

    /// Starts workers and kills each a moment later; 0.
    func killWorkers(until isOver: Latch) throws -> Int {
        while !isOver.isSet {
            let worker = try backend.worker()
            usleep(.random(in: 50_000...400_000))
            worker.kill()
            try worker.wait()
        }
        return 0
    }

    func ask(_ content: String) throws -> JSONValue {
        try backend.reply(backend.post(content, room, person), room, person)
    }

    func move(to zone: String) throws {
        let answer = try backend.call("update-me", token: person.token, body: ["timezone": .string(zone)])
        #expect(answer.status == 200)
    }

    /// How many rows there are of `what`, a table and perhaps a condition.
    func count(_ what: String) throws -> Int {
        try backend.database.connect().row(Int.self, SQL(made: "select count(*) from \(what)")) ?? 0
    }

    /// Kind, amount and reason of the receipts, the oldest first.
    func ledger() throws -> [String] {
        try database.rows(
            String.self,
            "select concat_ws(' ', kind, amount, reason) from ledger where user_id = \(person.id)::uuid order by id")
    }

    /// The counter equals the ledger on every day, in one look at both; `used` is of the user's present day.
    func expectAgreement(used: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let differing = try backend.database.connect().rows(
            String.self,
            """
            select concat_ws(' ', l.day, l.sum, used_in_day(l.user_id, l.day))
            from (select user_id, day, sum(amount) from ledger group by user_id, day) l
            where l.sum <> used_in_day(l.user_id, l.day)
            """)
        #expect(differing == [], sourceLocation: sourceLocation)
        guard let used else { return }
        let usage = try backend.call("get-usage", token: person.token).json
        #expect(usage["daily"]["used"].number == Double(used), sourceLocation: sourceLocation)
    }
}

extension Conversation {
    /// Finishes all replies, as the worker would, with their receipts.
    func settle() throws {
        try database.execute(
            """
            with done as (delete from jobs returning user_id, day), counted as (
                insert into usage_days as d select user_id, day, count(*), 0, 0, 0 from done group by user_id, day
                on conflict (user_id, day) do update set charged = d.charged + excluded.charged
            )
            update messages set status = 'done', content = 'answer', completed_at = now() where status = 'queued'
            """)
    }
}
