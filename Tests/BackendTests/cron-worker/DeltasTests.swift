import Common
import Foundation
import TestSupport
import Testing

/// Text is kept as it comes, and calls end when nobody wants them any more.
@Suite(.threads)
struct DeltasTests {
    private struct Row: Decodable {
        let attempt: Int
        let start: Int
        let text: String
    }

    private func deltas(_ world: World, _ id: String) throws -> [Row] {
        try world.database.rows(
            Row.self, "select attempt, start, text from deltas where message_id = \(id)::uuid order by attempt, start")
    }

    /// The text so far, of one attempt; nil where there is a hole in it.
    private func text(_ rows: [Row]) -> String? {
        rows.reduce("") { text, row in text.flatMap { $0.utf8.count == row.start ? $0 + row.text : nil } }
    }

    @Test
    func `What has come can be read before the reply is finished`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let said = "Eins, zwei, drei \u{1F680} vier, fünf, sechs, sieben, acht."
        let id = try world.backend.post(
            "[sandbox:chunks n=8 ms=150][sandbox:say] \(said)", world.room, world.person)
        var seen: [String] = []
        try eventually("the end") {
            if let text = text(try deltas(world, id)), !text.isEmpty, text != seen.last { seen.append(text) }
            return try world.jobs() == 0
        }
        #expect(seen.count >= 4)
        #expect(seen.allSatisfy { said.hasPrefix($0) })
        #expect(try world.backend.reply(id, world.room, world.person)["content"].text == said)
        #expect(try deltas(world, id).isEmpty)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `After a call that broke off, the text begins anew under a number of its own`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let said = "One, two, three, four, five and six."
        let id = try world.backend.post(
            "[sandbox:reset times=1][sandbox:chunks n=6 ms=150][sandbox:say] \(said)", world.room, world.person)
        try eventually("the first attempt") { try deltas(world, id).last?.attempt == 1 }
        try eventually("its end") { try deltas(world, id).isEmpty }
        try eventually("the second attempt") { try deltas(world, id).last?.attempt == 2 }
        #expect(try deltas(world, id).allSatisfy { $0.attempt == 2 })
        #expect(try world.backend.reply(id, world.room, world.person)["content"].text == said)
        #expect(try deltas(world, id).isEmpty)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A connection lost in mid-reply leaves neither a hole nor a repetition`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let said = (1...30).map { "\($0)" }.joined(separator: ", ")
        let id = try world.backend.post(
            "[sandbox:chunks n=30 ms=80][sandbox:say] \(said)", world.room, world.person)
        var cut = 0
        var seen: [String] = []
        try eventually("the end") {
            let rows = try deltas(world, id)
            if let text = text(rows) {
                #expect(said.hasPrefix(text))
                if text.utf8.count > seen.last?.utf8.count ?? 0 { seen.append(text) }
            }
            if seen.count % 4 == 1 {
                cut +=
                    try world.database.row(
                        Int.self,
                        """
                        select count(pg_terminate_backend(pid)) from pg_stat_activity
                        where datname = current_database() and pid <> pg_backend_pid() and query ~ 'deltas|pg_notify'
                        """) ?? 0
            }
            return try world.jobs() == 0
        }
        #expect(seen.count >= 5)
        #expect(try world.backend.reply(id, world.room, world.person)["content"].text == said)
        #expect(cut > 0)
        withExtendedLifetime(worker) {}
    }

    /// The connections that a process has open.
    private func sockets(_ worker: Executable) -> Int {
        let folder = "/proc/\(worker.pid)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)"))?.hasPrefix("socket:")
                == true
        }.count
    }

    @Test(arguments: ["on", "off"])
    func `A call for a reply that was cancelled ends at once`(preparedStatements: String) throws {
        let world = try World(["PREPARED_STATEMENTS": preparedStatements])
        let worker = try world.backend.worker()
        let next = try world.backend.room(world.person)
        _ = try world.ask("Hello", in: next)
        let idle = sockets(worker)
        let id = try world.backend.post(
            "[sandbox:chunks n=3 ms=100][sandbox:hang after=2]", world.room, world.person)
        try eventually("some text") { try !deltas(world, id).isEmpty }
        let behind = try world.backend.post("Next", world.room, world.person)
        // As cancel-reply does it.
        try world.database.execute(
            """
            with gone as (delete from jobs where id = \(id)::uuid)
            update messages set status = 'cancelled' where id = \(id)::uuid
            """)
        let began = Date()
        try world.database.execute("select pg_notify('cancelled', \(id))")
        // The kept connection of the first call may be the one that was in use.
        try eventually("the end of the call") { sockets(worker) <= idle }
        #expect(Date().timeIntervalSince(began) < (preparedStatements == "on" ? 0.25 : 0.6))
        #expect(try world.backend.reply(behind, world.room, world.person)["status"] == "done")
        let status = try world.database.row(String.self, "select status from messages where id = \(id)::uuid")
        #expect(status == "cancelled")
    }
}
