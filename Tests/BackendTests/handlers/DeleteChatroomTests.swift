import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct DeleteChatroomTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend(processes: 2)
        person = try backend.signIn()
        room = try backend.room(person, ["title": "Travel"])
    }

    @Test
    func `A room goes into the trash`() throws {
        let kept = try backend.room(person, ["title": "Kept"])
        let answer = try delete()
        #expect(answer.status == 204 && answer.body.isEmpty)
        expectProblem(try backend.call("get-chatroom", room: room, token: person.token), 404, "not_found")
        for query in ["", "archived=true", "limit=100"] {
            let listed = try backend.call("list-chatrooms", token: person.token, query: query).json["chatrooms"].list
            #expect(listed.map { $0["id"].text } == (query == "archived=true" ? [] : [kept]))
        }
        let trash = try backend.call("list-trash", token: person.token).json["chatrooms"].list
        #expect(trash.map { $0["id"].text } == [room])
        expectProblem(try delete(), 404, "not_found")
    }

    @Test
    func `Replies that are not finished are cancelled, with what had come, and their calls ended`() throws {
        let running = try backend.post("[sandbox:chunks n=200 ms=100] Hello", room, person)
        let queued = try backend.post("After it", room, person)
        let other = try backend.room(person)
        let worker = try backend.worker()
        try eventually("some text") {
            let reply = try backend.call("get-message", room: room, message: running, token: person.token).json
            return reply["content"].text?.isEmpty == false
        }
        #expect(try delete().status == 204)
        // Another room's turn comes at once.
        #expect(try backend.reply(backend.post("Hello", other, person), other, person)["status"] == "done")
        #expect(try backend.call("restore-chatroom", room: room, token: person.token, body: [:]).status == 200)
        let replies = try [running, queued].map {
            try backend.call("get-message", room: room, message: $0, token: person.token).json
        }
        #expect(replies.map { $0["status"] } == ["cancelled", "cancelled"])
        #expect(replies[0]["content"].text?.isEmpty == false && replies[1]["content"] == "")
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from jobs") == 0)
        #expect(try database.row(Int.self, "select count(*) from deltas") == 0)
        #expect(try backend.reply(backend.post("Go on", room, person), room, person)["status"] == "done")
        // A worker that is told to end waits 8 s for calls that are under way: there are none.
        let took = try seconds {
            worker.terminate()
            let exit = try worker.wait()
            #expect(exit == .code(0))
        }
        #expect(took < 8)
    }

    @Test
    func `Who waits for a reply or reads it as it comes is told at once`() throws {
        let worker = try backend.worker()
        var calls = 0
        let least = try quickest(below: 4) {
            let room = try backend.room(person)
            let reply = try backend.post("[sandbox:hang ms=60000]", room, person)
            let waiting = try FastCGI(backend.endpoint("get-message").listener.path)
            waiting.sendRequest(
                Backend.parameters(room: room, message: reply, token: person.token, headers: ["Prefer": "wait=30"]))
            let connection = try FastCGI(backend.endpoint("stream-reply").listener.path)
            connection.sendRequest(Backend.parameters(room: room, message: reply, token: person.token))
            let reading = EventStream(connection)
            // Both are there, and not about to be.
            try reading.awaitHead()
            #expect(reading.head?.status == 200)
            #expect(!waiting.hasAnswer)
            calls += 1
            try eventually("the call") { try backend.gemini().requests().count == calls }
            return try seconds {
                #expect(try backend.call("delete-chatroom", room: room, token: person.token).status == 204)
                expectProblem(try waiting.answer(), 404, "not_found")
                let events = try reading.rest()
                #expect(events.map(\.name) == ["cancelled"])
            }
        }
        #expect(least < 4)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `What is sent to it at that moment is refused, or cancelled with the rest`() throws {
        let worker = try backend.worker()
        let (backend, person) = (backend, person)
        for _ in 0..<5 {
            let room = try backend.room(person)
            let reply = try backend.reply(backend.post("Hello", room, person), room, person)["id"].text
            let ended = Latch()
            let statuses = try concurrently(8) { index -> Set<Int> in
                if index == 0 {
                    usleep(100_000)
                    let status = try backend.call("delete-chatroom", room: room, token: person.token).status
                    ended.set()
                    return [status]
                }
                var statuses: Set<Int> = []
                while !ended.isSet {
                    let answer =
                        index == 1
                        ? try backend.call("regenerate-reply", room: room, message: reply, token: person.token)
                        : try backend.call("send-message", room: room, token: person.token, body: ["content": "Hello"])
                    statuses.insert(answer.status)
                }
                return statuses
            }
            #expect(statuses[0] == [204])
            #expect(statuses.dropFirst().allSatisfy { $0.isSubset(of: [202, 404]) }, "\(statuses)")
            let database = backend.database.connect()
            #expect(
                try database.row(
                    Int.self,
                    """
                    select count(*) from messages where chatroom_id = \(room)::uuid and status in ('queued', 'running')
                    """) == 0)
            #expect(try database.row(Int.self, "select count(*) from jobs where lane = \(room)::uuid") == 0)
        }
        worker.terminate()
        #expect(try worker.wait() == .code(0))
        #expect(!worker.error.contains("\"level\":\"error\""), "\(worker.error)")
    }

    @Test
    func `Of eight at once one puts it there`() throws {
        let (backend, person, room) = (backend, person, room)
        let answers = try concurrently(8) { _ in
            try backend.call("delete-chatroom", room: room, token: person.token)
        }
        #expect(answers.filter { $0.status == 204 }.count == 1)
        for answer in answers where answer.status != 204 { expectProblem(answer, 404, "not_found") }
    }

    @Test
    func `A title or a summary that is being thought of for it is dropped`() throws {
        let database = backend.database.connect()
        try database.execute(
            """
            insert into jobs (user_id, lane, id, kind, payload)
            select \(person.id), k, k, 'title', jsonb_build_object('chatroom_id', \(room)::text) from gen_random_uuid() k
            """)
        #expect(try delete().status == 204)
        #expect(try database.row(Int.self, "select count(*) from jobs") == 0)
    }

    private func delete() throws -> Answer { try backend.call("delete-chatroom", room: room, token: person.token) }
}
