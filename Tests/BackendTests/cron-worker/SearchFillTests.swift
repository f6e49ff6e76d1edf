import Common
import Foundation
import TestSupport
import Testing

/// The index of search is made beside the replies, and what cannot be indexed is in nobody's way.
@Suite(.threads)
struct SearchFillTests {
    private let world: World
    private var backend: Backend { world.backend }

    init() throws { world = try World() }

    @Test
    func `Four hostile messages delay neither replies nor the search of others`() throws {
        let worker = try backend.worker(["STATEMENT_TIMEOUT_MS": "5000"])
        let hostile = "a" + String(repeating: "\u{301}\u{316}", count: 15_999)
        let rooms = try (0..<4).map { _ in try backend.room(world.person) }
        let replies = try rooms.map { try backend.post(hostile, $0, world.person) }
        for (reply, room) in zip(replies, rooms) { _ = try backend.reply(reply, room, world.person) }
        let other = try backend.signIn()
        let room = try backend.room(other)
        var count = 0
        let least = try quickest(below: 2) {
            let reply = try backend.post("[sandbox:say] The ferry sails at nine.", room, other)
            count += 2
            return try seconds { _ = try backend.reply(reply, room, other) }
        }
        #expect(least < 2)
        try eventually("the message") { try found("ferry", other) == count }
        // Theirs too, and each once.
        try eventually("all of it") { try world.database.row(Int.self, "select count(*) from search_queue") == 0 }
        #expect(try found("a", world.person) >= 4)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Text of any script is normalised in a time that grows with its length`() throws {
        // Marks of several classes, in the order that takes longest to sort: Latin, Hebrew, Arabic, Indic, musical, mixed.
        let marks = [
            "\u{301}\u{316}", "\u{5bf}\u{5b0}", "\u{651}\u{64b}", "\u{94d}\u{93c}", "\u{1d16d}\u{1d165}",
            "\u{344}\u{323}",
            "\u{1dcd}\u{302a}", "\u{f73}\u{f71}",
        ]
        for mark in marks {
            func milliseconds(_ count: Int) throws -> Double {
                let text = "a" + String(repeating: mark, count: count)
                return try quickest(below: 0) {
                    try seconds { _ = try world.database.row(String.self, "select search_fold(\(text))") }
                } * 1_000
            }
            let (short, long) = (try milliseconds(1_000), try milliseconds(8_000))
            #expect(long < max(short, 2) * 20, "\(mark.unicodeScalars): \(short) ms, \(long) ms")
        }
    }

    @Test(arguments: [
        ("raises", "raise exception 'poison'"), ("never ends", "perform pg_sleep(600)"),
        ("ends its connection", "perform pg_terminate_backend(pg_backend_pid())"),
    ])
    func `A message whose indexing fails is set aside and named, and the others are found`(how: String, poison: String)
        throws
    {
        try fail(poison)
        let worker = try backend.worker(["STATEMENT_TIMEOUT_MS": "3000"])
        let reply = try world.ask("[sandbox:say] poison")
        for number in 0..<3 {
            _ = try world.ask("[sandbox:say] The ferry sails at \(number).", in: backend.room(world.person))
        }
        try eventually("the others") { try found("ferry", world.person) == 6 }
        let id = try #require(reply["id"].text)
        try eventually("its name") { worker.error.contains(id) }
        #expect(worker.error.contains("a message is not indexed for search"))
        // And those that come after it.
        _ = try world.ask("[sandbox:say] The train leaves at ten.", in: backend.room(world.person))
        try eventually("the next") { try found("train", world.person) == 2 }
        #expect(try found("poison", world.person) == 0)
        worker.terminate()
        try worker.wait()

        // What failed for a reason that has passed is tried again.
        try world.database.script("drop function search_words(uuid, text)")
        try world.database.script("alter function search_words_then rename to search_words")
        try world.database.execute("update search_queue set set_aside_at = now() - interval '2 hours'")
        let next = try backend.worker()
        try eventually("it") { try found("poison", world.person) == 2 }
        withExtendedLifetime(next) {}
    }

    @Test
    func `Replies do not wait for the index`() throws {
        try fail("perform pg_sleep(600)")
        let worker = try backend.worker()
        _ = try world.ask("[sandbox:say] poison")
        try eventually("a long statement") {
            try world.database.row(
                Int.self,
                "select count(*) from pg_stat_activity where query like 'select fill_search%' and wait_event = 'PgSleep'"
            ) == 1
        }
        let room = try backend.room(world.person)
        let least = try quickest(below: 2) { try seconds { _ = try world.ask("[sandbox:say] ferry", in: room) } }
        #expect(least < 2)
        worker.kill()
    }

    // MARK: -

    /// Has this done when the words of a text with "poison" are asked for.
    private func fail(_ poison: String) throws {
        let database = world.database
        try database.script("alter function search_words(uuid, text) rename to search_words_then")
        try database.script(
            """
            create function search_words(owner uuid, t text) returns tsvector language plpgsql immutable as $$
            begin
                if t like '%poison%' then \(poison); end if;
                return search_words_then(owner, t);
            end
            $$
            """)
    }

    private func found(_ word: String, _ person: Backend.Person) throws -> Int {
        try backend.call("search-messages", token: person.token, query: "q=\(word)&limit=50").json["results"].list.count
    }
}
