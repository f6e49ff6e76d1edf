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
            "[sandbox:chunks n=8 ms=1000][sandbox:say] \(said)", world.room, world.person)
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
        try world.database.script(
            """
            create table written (
                number int generated always as identity, message_id uuid, attempt int, start int, text text, of_others int);
            create function note_written() returns trigger language plpgsql security definer as $$
            begin
                insert into written (message_id, attempt, start, text, of_others)
                select new.message_id, new.attempt, new.start, new.text, count(*) from deltas d
                where d.message_id = new.message_id and d.attempt <> new.attempt;
                return null;
            end $$;
            create trigger written after insert on deltas for each row execute function note_written();
            """)
        let id = try world.backend.post(
            "[sandbox:reset times=1][sandbox:chunks n=6 ms=1200][sandbox:say] \(said)", world.room, world.person)
        #expect(try world.backend.reply(id, world.room, world.person)["content"].text == said)
        let written = try world.database.rows(
            Row.self, "select attempt, start, text from written where message_id = \(id)::uuid order by number")
        #expect(Set(written.map(\.attempt)) == [1, 2] && written.map(\.attempt) == written.map(\.attempt).sorted())
        for attempt in [1, 2] {
            #expect(text(written.filter { $0.attempt == attempt }).map { said.hasPrefix($0) } == true)
        }
        // Of the first nothing was left when the second began.
        #expect(try world.database.row(Int.self, "select max(of_others) from written") == 0)
        #expect(try deltas(world, id).isEmpty)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A connection lost in mid-reply leaves neither a hole nor a repetition`() throws {
        let world = try World()
        let worker = try world.backend.worker()
        let said = (1...30).map { "\($0)" }.joined(separator: ", ")
        let id = try world.backend.post(
            "[sandbox:chunks n=30 ms=200][sandbox:say] \(said)", world.room, world.person)
        var (cut, cuts) = (0, Set<Int>())
        var seen: [String] = []
        try eventually("the end") {
            let rows = try deltas(world, id)
            if let text = text(rows) {
                #expect(said.hasPrefix(text))
                if text.utf8.count > seen.last?.utf8.count ?? 0 { seen.append(text) }
            }
            // Once at each: what is cut off again and again comes to no end.
            if seen.count % 4 == 1, !cuts.contains(seen.count) {
                let ended =
                    try world.database.row(
                        Int.self,
                        """
                        select count(pg_terminate_backend(pid)) from pg_stat_activity
                        where datname = current_database() and pid <> pg_backend_pid() and query ~ 'deltas|pg_notify'
                        """) ?? 0
                cut += ended
                if ended > 0 { cuts.insert(seen.count) }
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
        let bound = preparedStatements == "on" ? 0.25 : 0.6
        let least = try quickest(below: bound, tries: 10) {
            let room = try world.backend.room(world.person)
            let id = try world.backend.post(
                "[sandbox:chunks n=3 ms=100][sandbox:hang after=2]", room, world.person)
            try eventually("some text") { try !deltas(world, id).isEmpty }
            let before = sockets(worker)
            // As cancel-reply does it.
            try world.database.execute(
                """
                with gone as (delete from jobs where id = \(id)::uuid)
                update messages set status = 'cancelled' where id = \(id)::uuid
                """)
            let took = try seconds {
                try world.database.execute("select pg_notify('cancelled', \(id))")
                try eventually("the end of the call") { sockets(worker) < before }
            }
            let behind = try world.backend.post("Next", room, world.person)
            #expect(try world.backend.reply(behind, room, world.person)["status"] == "done")
            let status = try world.database.row(String.self, "select status from messages where id = \(id)::uuid")
            #expect(status == "cancelled")
            return took
        }
        #expect(least < bound)
    }
}
