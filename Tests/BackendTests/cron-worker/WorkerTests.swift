import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct WorkerTests {
    @Test
    func `It works for its time and ends by itself`() throws {
        let world = try World()
        let reply = try world.backend.post("Hello", world.room, world.person)
        let began = now()
        let worker = try world.backend.worker(seconds: 1)
        #expect(try world.backend.reply(reply, world.room, world.person)["status"] == "done")
        #expect(try worker.wait() == .code(0))
        #expect(now() - began >= 0.9)
    }

    @Test
    func `What it has begun when its time is over it finishes`() throws {
        let world = try World()
        let id = try world.backend.post("[sandbox:slow ms=2500]", world.room, world.person)
        let worker = try world.backend.worker(seconds: 1)
        #expect(try worker.wait() == .code(0))
        let reply = try world.backend.call(
            "get-message", room: world.room, message: id, token: world.person.token)
        #expect(reply.json["status"] == "done")
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func `Told to stop while idle, it ends at once`(signal: Int32) throws {
        let world = try World()
        let least = try quickest(below: 2) {
            let worker = try world.backend.worker()
            #expect(try world.ask("Hello")["status"] == "done")
            return try seconds {
                worker.signal(signal)
                let exit = try worker.wait()
                #expect(exit == .code(0))
            }
        }
        #expect(least < 2)
    }

    @Test
    func `Told to stop, it finishes what is nearly done and gives back the rest`() throws {
        let world = try World()
        let rooms = try (0..<2).map { _ in try world.backend.room(world.person) }
        let quick = try world.backend.post("[sandbox:slow ms=2000]", rooms[0], world.person)
        let stuck = try world.backend.post("[sandbox:hang times=1]", rooms[1], world.person)
        let worker = try world.backend.worker()
        try eventually("both calls") { try world.backend.gemini().requests().count == 2 }
        worker.terminate()
        #expect(try worker.wait(seconds: 30) == .code(0))
        let finished = try world.backend.call(
            "get-message", room: rooms[0], message: quick, token: world.person.token)
        #expect(finished.json["status"] == "done")
        let job = try world.database.row(
            String.self, "select concat_ws(' ', state, attempts, worker) from jobs where id = \(stuck)::uuid")
        #expect(job == "ready 0")
        let next = try world.backend.worker()
        #expect(try world.backend.reply(stuck, rooms[1], world.person)["status"] == "done")
        withExtendedLifetime(next) {}
    }

    @Test
    func `What a dead worker had is taken by another, and what it brings later is dropped`() throws {
        let world = try World(["LEASE_SECONDS": "2"])
        // The first call brings half an answer, the second a whole one. There is time enough to stop the first.
        let id = try world.backend.post(
            "[sandbox:slow ms=6000][sandbox:max-tokens times=1]", world.room, world.person)
        let first = try world.backend.worker()
        try eventually("the first call") { try world.backend.gemini().requests().count == 1 }
        first.signal(SIGSTOP)
        let second = try world.backend.worker()
        try eventually("the second call") { try world.backend.gemini().requests().count == 2 }
        // It works again, with its answer in hand, while the reply is another's.
        first.signal(SIGCONT)
        #expect(try world.backend.reply(id, world.room, world.person)["status"] == "done")
        let reasons = try world.database.rows(
            String.self, "select finish_reason from messages where role = 'model'")
        #expect(reasons == ["STOP"])
        #expect(try world.jobs() == 0)
        second.kill()
        try second.wait()
        #expect(try world.ask("Hello", in: world.backend.room(world.person))["status"] == "done")
    }

    @Test
    func `What is over is deleted when it starts`() throws {
        let world = try World()
        try world.database.script(
            """
            insert into cache values ('old', 'x', now() - interval '1 second'), ('new', 'x', now() + interval '1 hour');
            insert into otps (mobile, purpose, code_hash, expires_at) values
                ('+911111111', 'reset', 'x', now() - interval '2 days'), ('+912222222', 'reset', 'x', now());
            """)
        let worker = try world.backend.worker(seconds: 1)
        #expect(try worker.wait() == .code(0))
        #expect(try world.database.rows(String.self, "select key from cache") == ["new"])
        #expect(
            try world.database.rows(String.self, "select mobile from otps where purpose = 'reset'") == ["+912222222"])
    }

    @Test
    func `Without a key it ends with one line that names the setting`() throws {
        let backend = try Backend()
        let worker = try Executable("cron-worker", environment: backend.settings, folder: backend.folder.path)
        #expect(try worker.wait() == .code(78))
        #expect(worker.error.contains("GEMINI_API_KEY") && worker.error.split(separator: "\n").count == 1)
    }
}
