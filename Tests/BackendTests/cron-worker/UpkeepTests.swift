import Common
import Foundation
import TestSupport
import Testing

/// What grows too old is deleted, and conversations go on without it.
@Suite(.threads)
struct UpkeepTests {
    private let world: World
    private var backend: Backend { world.backend }

    init() throws { world = try World() }

    @Test
    func `Messages older than their room has them are deleted, and the list is made anew`() throws {
        let kept = try backend.room(world.person)
        for room in [world.room, kept] { try fill(room, days: [5, 3, 1]) }
        try setRetention(2)
        _ = try backend.call("list-chatrooms", token: world.person.token)
        let worker = try backend.worker()
        try eventually("the deletion") { try count(world.room) == 2 }
        #expect(try count(kept) == 6)
        let listed = try backend.call("list-chatrooms", token: world.person.token)
        #expect(listed.header("X-Cache") == "miss")
        #expect(try entries(world.room) == 2)
        // And the rest, when its time has come.
        try world.database.execute(
            "update chatrooms set sweep_at = now(), retention_days = 1 where id = \(world.room)::uuid")
        try age(world.room, by: "1 hour")
        try eventually("the rest") { try count(world.room) == 0 }
        #expect(try backend.call("get-chatroom", room: world.room, token: world.person.token).json["messages"] == [])
        withExtendedLifetime(worker) {}
    }

    @Test(
        arguments: [
            (nil, nil, [6, 4, 2, 0]), (3, nil, [2, 0]), (nil, 5, [4, 2, 0]), (3, 5, [2, 0]), (5, 3, [2, 0]),
            (1, 3650, [0]),
        ] as [(Int?, Int?, [Int])])
    func `Of the room's and the user's the shorter applies`(ofRoom: Int?, ofUser: Int?, left: [Int]) throws {
        try fill(world.room, days: [6, 4, 2, 0])
        let worker = try backend.worker()
        try eventually("the first look") { try nextSweep(world.room) == nil }
        if let ofUser { try setUserRetention(ofUser) }
        if let ofRoom { try setRetention(ofRoom) }
        let isKept = ofRoom == nil && ofUser == nil
        try eventually("the deletion") {
            try count(world.room) == 2 * left.count && (isKept || nextSweep(world.room) != nil)
        }
        // It is looked at again when the oldest that is left has grown too old.
        if let days = [ofRoom, ofUser].compactMap({ $0 }).min(), let oldest = left.first {
            let expected = Double(days - oldest) * 86_400
            try eventually("the next look") { abs((try nextSweep(world.room) ?? 0) - expected) < 120 }
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Sign-ups that nobody has proven are deleted after a day`() throws {
        let database = world.database
        for (number, age) in [
            ("+919876543210", "25 hours"), ("+919876543211", "23 hours"), ("+919876543212", "25 hours"),
            ("+919876543213", "25 hours"),
        ] {
            #expect(try backend.call("signup", body: ["mobile": .string(number)]).status == 201)
            try database.execute(
                "update users set created_at = now() - \(age)::interval where mobile = \(number)")
        }
        // A code is on its way to one, and the operator has given Pro to another.
        _ = try backend.call("send-otp", body: ["mobile": "+919876543212"])
        try database.execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users where mobile = '+919876543213'")
        try database.execute(
            "update users set created_at = now() - interval '9 days' where id = \(world.person.id)::uuid")
        let worker = try backend.worker()
        try eventually("the purge") {
            try database.row(Int.self, "select count(*) from users where mobile = '+919876543210'") == 0
        }
        #expect(try database.row(Int.self, "select count(*) from users") == 4)
        #expect(try backend.call("get-me", token: world.person.token).status == 200)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A room that is made later follows its user too, and null keeps messages for ever`() throws {
        let worker = try backend.worker()
        try setUserRetention(2)
        let room = try backend.room(world.person)
        try eventually("the first look") { try nextSweep(room) ?? 0 > 100_000 }
        try fill(room, days: [5, 0])
        try world.database.execute("update chatrooms set sweep_at = now() where id = \(room)::uuid")
        try eventually("the deletion") { try count(room) == 2 }
        _ = try backend.call("update-me", token: world.person.token, body: ["retention_days": .null])
        try eventually("the last look") { try nextSweep(room) == nil }
        try fill(room, days: [5])
        _ = try backend.call("update-chatroom", room: room, token: world.person.token, body: ["title": "x"])
        try eventually("the last look") { try nextSweep(room) == nil }
        #expect(try count(room) == 4)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Many go in small batches, while replies are made`() throws {
        try world.database.execute(
            """
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at)
            select \(world.person.id), \(world.room), uuidv7(now() - interval '9 days' - n * interval '1 second'), 'user', 'x',
                'done', now() - interval '9 days' - n * interval '1 second'
            from generate_series(1, 20000) n
            """)
        try world.database.script(
            """
            create table batches (at timestamptz not null, size int not null);
            create function note_batch() returns trigger language plpgsql security definer as $$
            begin
                insert into batches select clock_timestamp(), count(*) from gone having count(*) > 0;
                return null;
            end $$;
            create trigger batch after delete on messages referencing old table as gone
                for each statement execute function note_batch();
            """)
        try setRetention(2)
        let room = try backend.room(world.person)
        let reply = try backend.post("[sandbox:slow ms=3000] Hello", room, world.person)
        let worker = try backend.worker()
        try eventually("the deletion") { try count(world.room) == 0 }
        #expect(try world.database.rows(Int.self, "select size from batches") == Array(repeating: 500, count: 40))
        #expect(try backend.reply(reply, room, world.person)["status"] == "done")
        #expect(
            try world.database.row(
                Bool.self,
                """
                select completed_at between (select min(at) from batches) and (select max(at) from batches)
                from messages where id = \(reply)::uuid
                """) == true)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A question that waits for its reply stays with it`() throws {
        try fill(world.room, days: [5])
        let reply = try backend.post("Hello", world.room, world.person)
        try age(world.room, by: "4 days", at: "id >= (select id from messages where content = 'Hello')")
        // What was asked before it, and what was asked after.
        try world.database.execute(
            "update jobs set id = (select max(id::text)::uuid from messages where status = 'queued')")
        try setRetention(1)
        #expect(try world.database.row(Bool.self, "select sweep_messages(500)") == false)
        let left = try world.database.rows(String.self, "select content from messages order by id")
        #expect(left == ["Hello", ""])
        withExtendedLifetime(reply) {}
    }

    // MARK: What refers to what is gone

    @Test
    func `A conversation goes on, by its summary and its branches`() throws {
        let conversation = try Conversation(["CONTEXT_TOKENS": "100"])
        let database = conversation.database
        let first = try conversation.send("One, of long ago")
        try conversation.finish()
        let edited = try conversation.edit(first.question, "One, in other words")
        try conversation.finish()
        _ = try conversation.send("Two")
        try conversation.finish()
        let again = try conversation.regenerate(edited.reply)
        try conversation.finish()
        let last = try conversation.send("Three")
        try conversation.finish()
        let before = try conversation.ids()
        for upto in [first.reply, last.reply] {
            try database.execute(
                """
                insert into summaries (user_id, chatroom_id, upto, content, tokens)
                values (\(conversation.person.id), \(conversation.room), \(upto), 'They said much', 3)
                """)
        }

        // The original of the question, whose variant stays, and its reply.
        #expect(try delete(2, of: conversation) == 2)
        #expect(try conversation.ids() == before)
        let question = try #require(try conversation.shown().first)
        #expect(question["id"].text == edited.question && question["siblings"] == .null)
        #expect(try database.rows(String.self, "select upto from summaries") == [last.reply])
        // It can be asked in still other words, and those are its siblings.
        let third = try conversation.edit(edited.question, "One, for the third time")
        try conversation.finish()
        #expect(try conversation.ids() == [third.question, third.reply])
        let siblings = try #require(try conversation.shown().first)["siblings"]
        #expect(siblings["ids"].list.map(\.text) == [edited.question, third.question])
        #expect(try conversation.call("choose-message", edited.question).status == 200)
        #expect(try conversation.ids() == before)

        // Now the question too: its second reply stays, and cannot be made again.
        #expect(try delete(2, of: conversation) == 2)
        #expect(try conversation.ids() == Array(before.dropFirst()))
        expectProblem(try conversation.call("regenerate-reply", again), 409, "question_gone")
        #expect(try conversation.ids() == Array(before.dropFirst()))
        let worker = try conversation.backend.worker()
        let reply = try conversation.backend.reply(
            conversation.send("And now?").reply, conversation.room, conversation.person)
        #expect(reply["status"] == "done")
        let request = try #require(
            try conversation.backend.gemini().requests().last { $0.turns.last == "user: And now?" })
        let instruction = request.body["systemInstruction"]["parts"][0]["text"].text ?? ""
        #expect(instruction.contains("They said much") && request.turns == ["user: And now?"])
        let provenance = try conversation.call("get-provenance", reply["id"].text)
        #expect(provenance.status == 200)

        // And all of it.
        #expect(try delete(100, of: conversation) > 4)
        #expect(try conversation.ids() == [] && database.row(Int.self, "select count(*) from summaries") == 0)
        let anew = try conversation.backend.reply(
            conversation.send("From the start").reply, conversation.room, conversation.person)
        #expect(anew["status"] == "done")
        #expect(try conversation.shown().count == 2)
        expectProblem(try conversation.call("get-message", again), 404, "not_found")
        withExtendedLifetime(worker) {}
    }

    /// Deletes so many of its oldest messages.
    private func delete(_ most: Int, of conversation: Conversation) throws -> Int {
        try conversation.database.row(
            Int.self,
            """
            select delete_messages(\(conversation.person.id), \(conversation.room), 'ffffffff-ffff-ffff-ffff-ffffffffffff',
                \(most)::int)
            """) ?? 0
    }

    // MARK: -

    /// A question and its reply for each of these ages, to be found.
    private func fill(_ room: String, days: [Int]) throws {
        for day in days {
            try world.database.execute(
                """
                with said as (
                    insert into messages (user_id, chatroom_id, id, role, content, status, created_at)
                    select \(world.person.id), \(room), uuidv7(t.at + m.n * interval '1 microsecond'), m.role, 'words', 'done',
                        t.at
                    from (select now() - make_interval(days => \(day)::int, mins => 1) as at) t
                    cross join (values (0, 'user'::message_role), (1, 'model')) m (n, role)
                    returning user_id, chatroom_id, id
                )
                insert into search_entries select user_id, chatroom_id, id, search_words(user_id, 'words') from said
                """)
        }
    }

    /// Makes messages older.
    private func age(_ room: String, by interval: String, at condition: SQL = "true") throws {
        try world.database.execute(
            """
            update messages set created_at = created_at - \(interval)::interval,
                id = uuidv7(created_at - \(interval)::interval + (role = 'model')::int * interval '1 microsecond')
            where chatroom_id = \(room)::uuid and \(condition)
            """)
    }

    private func count(_ room: String) throws -> Int {
        try world.database.row(Int.self, "select count(*) from messages where chatroom_id = \(room)::uuid") ?? 0
    }

    private func entries(_ room: String) throws -> Int? {
        try world.database.row(Int.self, "select count(*) from search_entries where chatroom_id = \(room)::uuid")
    }

    /// Seconds until the room is looked at again; nil where it is not.
    private func nextSweep(_ room: String) throws -> Double? {
        try world.database.row(
            Double.self,
            "select extract(epoch from sweep_at - now())::float8 from chatrooms where id = \(room)::uuid and sweep_at is not null"
        )
    }

    private func setRetention(_ days: Int) throws {
        let body: JSONValue = ["retention_days": .number(Double(days))]
        let answer = try backend.call("update-chatroom", room: world.room, token: world.person.token, body: body)
        #expect(answer.status == 200)
    }

    private func setUserRetention(_ days: Int) throws {
        let body: JSONValue = ["retention_days": .number(Double(days))]
        #expect(try backend.call("update-me", token: world.person.token, body: body).status == 200)
    }
}
